//! The suite finds what is wrong with an adapter: each fault fails the functions that are there for it, with a message
//! that says what was seen.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

mod faulty;

use std::panic::{AssertUnwindSafe, catch_unwind};

use faulty::Fault::{self, *};
use faulty::FaultyFactory;
use l2_core::testing::Factory;
use l2_core::testing::conformance::*;

/// What wraps the adapter is not itself at fault.
mod without_a_fault {
    l2_core::conformance_suite!(crate::faulty::FaultyFactory::new(crate::faulty::Fault::Nothing));
}

#[track_caller]
fn must_fail(fault: Fault, function: fn(&dyn Factory), says: &str) {
    let factory = FaultyFactory::new(fault);
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| function(&factory))) else {
        panic!("{fault:?} was not found");
    };
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    let text = text.unwrap();
    assert!(text.contains(says), "{fault:?} was found, but the message has no {says:?}: {text}");
}

/// Tests: a name, a fault, and each function that must find it with a part of its message.
macro_rules! faults {
    ($($name:ident: $fault:ident => { $($function:ident: $says:literal,)* })*) => {
        $(
            #[test]
            fn $name() {
                $(must_fail($fault, $function, $says);)*
            }
        )*
    };
}

faults! {
    a_lost_pin_is_found: PinsNothing => {
        a_pinned_object_is_not_deleted: "Freed",
        pins_count: "which is pinned",
        a_pinned_object_is_not_replaced: "Written",
        what_was_taken_from_a_lookup_keeps_its_pins: "which is pinned",
        the_status_counts_what_is_there: "(3, 2)",
        any_sequence_of_calls_does_what_a_plain_map_does: "pinned_objects: 0",
    }
    a_pin_for_two_hits_is_found: PinsEachKeyOnce => {
        a_lookups_pins_are_given_back_one_for_each_occurrence: "which is pinned",
        pins_count: "which is pinned",
        any_sequence_of_calls_does_what_a_plain_map_does: "minimal failing input",
    }
    an_unlock_of_all_pins_is_found: UnlocksAllPins => {
        pins_count: "which is pinned",
        any_sequence_of_calls_does_what_a_plain_map_does: "minimal failing input",
    }
    a_pin_of_a_miss_is_found: PinsMisses => {
        misses_pin_nothing: "Busy",
        any_sequence_of_calls_does_what_a_plain_map_does: "minimal failing input",
    }
    a_pin_of_a_load_is_found: PinsWhatIsLoaded => {
        a_load_needs_no_pin_and_takes_none: "Busy",
        any_sequence_of_calls_does_what_a_plain_map_does: "minimal failing input",
    }
    an_unlock_of_another_key_is_found: UnlocksOtherKeys => {
        unlocking_unknown_keys_is_harmless: "which is pinned",
    }
    an_unlock_that_works_later_is_found: UnlocksAgainLater => {
        unlocking_more_than_was_pinned_is_harmless: "which is pinned",
        any_sequence_of_calls_does_what_a_plain_map_does: "minimal failing input",
    }
    a_leaked_pin_is_found: KeepsPinsOfDroppedLookups => {
        a_lookup_dropped_when_done_gives_its_pins_back: "Busy",
        a_lookup_dropped_before_it_is_done_gives_its_pins_back: "the pins are given back",
        many_threads_mix_everything_and_it_adds_up: "all pins are given back",
    }
    a_pin_given_back_for_a_miss_is_found: UnlocksTheMissesOfDroppedLookups => {
        a_dropped_lookup_gives_back_no_pin_but_its_own: "which is pinned",
    }
    an_unlock_of_another_lookups_pin_is_found: UnlocksPinsOfOtherLookups => {
        a_pin_belongs_to_the_lookup_that_took_it: "which is pinned",
        giving_back_pins_of_a_task_that_has_none_is_harmless: "which is pinned",
    }
    a_dropped_lookup_that_takes_anothers_pin_is_found: DropsPinsOfOtherLookups => {
        a_dropped_lookup_gives_back_its_own_pin_whatever_else_was_unlocked: "which is pinned",
    }
    a_neighbours_bytes_are_found: SwapsTheFirstTwoLoads => {
        what_is_stored_is_loaded_byte_for_byte: "byte 0 of 4096 is wrong",
        a_large_object_is_whole: "byte 0 of 8388608 is wrong",
        a_batch_of_hundreds_ends: "is wrong",
        loads_beside_deletes_and_stores_never_give_wrong_bytes: "is wrong",
        a_load_of_what_was_kept_is_right_or_a_miss: "is wrong",
        any_sequence_of_calls_does_what_a_plain_map_does: "is wrong",
    }
    half_an_object_is_found: LoadsTheFirstHalf => {
        what_is_stored_is_loaded_byte_for_byte: "byte 2048 of 4096 is wrong",
        objects_of_many_lengths_are_whole: "byte 0 of 1 is wrong",
        many_threads_mix_everything_and_it_adds_up: "is wrong",
    }
    an_unchecked_length_is_found: IgnoresLengths => {
        a_load_into_a_lease_of_another_length_is_an_error_and_touches_nothing_else: "is wrong",
        lengths_that_add_up_are_no_excuse_for_lengths_that_differ: "is wrong",
        neighbours_of_a_failed_load_are_loaded: "is wrong",
    }
    a_failure_that_spreads_is_found: FailsAllLoadsForOne => {
        neighbours_of_a_failed_load_are_loaded: "[true, false, true, false, true]",
        a_batch_reports_each_key_in_order: "a load's outcomes",
    }
    a_false_hit_is_found: HitsEverything => {
        a_key_that_was_never_stored_is_a_miss: "which is not there",
        a_deleted_object_is_a_miss: "which is not there",
        many_threads_mix_everything_and_it_adds_up: "a load of what is pinned",
    }
    a_wrong_length_is_found: HalvesLengths => {
        what_is_stored_can_be_looked_up_with_its_length: "bytes: 2048",
        many_threads_mix_everything_and_it_adds_up: "L2_SEED=1, thread",
    }
    a_false_miss_in_a_long_batch_is_found: MissesTheLastOfMany => {
        a_batch_of_hundreds_ends: "Miss",
    }
    leaked_bytes_of_rejected_stores_are_found: LeaksRejectedBytes => {
        rejected_stores_give_their_bytes_back: "used_bytes",
        what_does_not_fit_over_an_old_object_is_rejected_and_adds_up: "used_bytes",
        what_does_not_fit_is_rejected_and_what_fits_is_kept: "used_bytes",
        stores_from_many_threads_never_pass_the_capacity: "used_bytes",
    }
    leaked_bytes_of_deletes_are_found: LeaksDeletedBytes => {
        deleting_frees_the_bytes: "bytes in use",
        a_deleted_key_can_be_stored_again: "bytes in use",
        any_sequence_of_calls_does_what_a_plain_map_does: "bytes in use",
    }
    a_duplicate_that_counts_twice_is_found: CountsDuplicates => {
        of_a_key_twice_in_one_batch_one_is_stored: "bytes in use",
        a_store_of_a_present_key_writes_nothing: "bytes in use",
        the_same_key_in_many_tasks_at_once_is_stored_once_and_never_leaks: "used_bytes",
    }
    a_capacity_that_is_not_kept_is_found: HasTwiceTheCapacity => {
        what_does_not_fit_is_rejected_and_what_fits_is_kept: "as many as fit",
        an_object_larger_than_the_capacity_is_rejected: "Written",
        stores_from_many_threads_never_pass_the_capacity: "used_bytes",
        a_store_for_which_no_room_is_made_is_rejected: "all is pinned",
    }
    another_capacity_is_found: TellsAnotherCapacity => {
        the_capacity_is_what_was_asked_for: "capacity_bytes",
    }
    an_object_that_changes_is_found: RewritesWhatIsPresent => {
        a_store_of_a_present_key_writes_nothing: "Written",
        the_same_key_in_many_tasks_at_once_is_stored_once_and_never_leaks: "round ",
        what_was_kept_is_not_written_again: "Written",
        a_store_of_a_condemned_key_keeps_its_object: "it is still there",
    }
    an_object_replaced_in_silence_is_found: ReplacesInSilence => {
        an_object_of_another_length_takes_the_place_of_the_old_one: "AlreadyPresent",
        any_sequence_of_calls_does_what_a_plain_map_does: "minimal failing input",
    }
    a_delete_of_nothing_is_found: FreesWhatIsAbsent => {
        deleting_an_unknown_key_is_absent: "Freed",
    }
    a_report_out_of_order_is_found: ReversesReports => {
        a_batch_reports_each_key_in_order: "[true, false, true, false]",
    }
    equal_task_numbers_are_found: NumbersAllTasks0 => {
        task_numbers_count_from_0_across_kinds: "[0, 1, 2, 3]",
    }
    the_wrong_event_is_found: RaisesTheWrongEvent => {
        each_event_descriptor_is_raised_by_its_kind_alone: "is not raised",
    }
    an_event_raised_twice_is_found: RaisesEventsTwice => {
        each_event_descriptor_is_raised_by_its_kind_alone: "[store, lookup, load]",
        each_task_raises_its_event_by_one: "events for 5 tasks",
    }
    events_shared_with_another_adapter_are_found: SharesEventsWithOthers => {
        the_event_descriptors_are_three_and_stay_the_same: "three for each adapter",
    }
    an_event_before_its_result_is_found: EndsTasksAtClose => {
        results_can_be_taken_when_the_event_is_raised: "the event came before",
        a_hit_in_the_index_is_answered_at_once: "did not end",
        tasks_can_be_awaited_without_a_runtime: "was not woken",
    }
    a_task_that_never_ends_is_found: NeverEndsTasks => {
        an_empty_batch_ends: "did not end within",
        tasks_after_close_end_as_closed: "did not end within",
        tasks_that_fail_raise_their_event: "did not end within",
    }
    a_task_that_is_forgotten_at_the_close_is_found: NeverEndsLoads => {
        closing_gives_every_task_its_result: "has no result",
        a_dropped_adapter_closes: "has no result",
        close_twice_is_harmless: "has no result",
    }
    a_task_that_ends_with_its_handle_is_found: CancelsDroppedStores => {
        a_dropped_task_goes_on: "what was stored is found",
    }
    a_lease_that_is_kept_is_found: KeepsLeases => {
        leases_come_back_with_the_outcome: "still holds the lease",
        l1_is_free_again_after_everything: "gives its lease back",
        memory_may_be_read_and_stored_many_times_at_once: "all its clones",
    }
    tenants_that_meet_are_found: MixesTenants => {
        two_tenants_never_meet: "which is not there",
        the_usage_of_all_tenants_adds_up_to_the_usage: "AlreadyPresent",
        keys_that_differ_in_one_part_name_different_objects: "found before it was stored",
    }
    models_that_meet_are_found: MixesSlashesAndDashes => {
        keys_whose_names_look_alike_name_different_objects: "found before it was stored",
    }
    a_name_that_is_too_long_is_found: CannotWriteLongNames => {
        long_and_strange_keys_work: "the name is too long",
    }
    an_object_lost_to_a_listener_is_found: DropsWhatAListenerPanickedAt => {
        a_panicking_listener_does_not_lose_an_object: "bytes in use",
    }
    listeners_out_of_order_are_found: TellsListenersBackwards => {
        listeners_hear_in_the_order_in_which_they_were_added: "third",
    }
    listeners_that_hear_nothing_are_found: TellsNothing => {
        listeners_hear_of_each_change_in_the_order_of_the_batch: "of a store",
        a_listener_hears_first_of_what_is_there: "told of what is there",
        what_listeners_hear_adds_up_to_the_usage: "left: 0",
        listeners_may_call_the_adapter: "was not called",
        listeners_hear_of_what_was_evicted: "of an eviction",
        listeners_hear_of_what_was_kept_as_recovered: "was told",
    }
    news_of_nothing_is_found: TellsOfPresentObjects => {
        listeners_do_not_hear_of_what_did_not_happen: "present, rejected",
    }
    a_second_close_that_fails_is_found: CannotCloseTwice => {
        close_twice_is_harmless: "closed",
    }
    a_closed_adapter_that_pretends_is_found: MissesAfterClose => {
        tasks_after_close_end_as_closed: "Miss",
    }
    a_closed_adapter_that_looks_well_is_found: IsHealthyAfterClose => {
        calls_after_close_are_harmless: "takes no requests",
    }
    a_pinned_object_that_is_shown_is_found: ShowsWhatIsPinned => {
        a_pinned_object_is_not_shown_by_a_scan_and_not_condemned: "a scan shows what is pinned",
    }
    an_object_that_is_shown_twice_is_found: ShowsObjectsTwice => {
        a_scan_shows_each_object_that_could_go_once: "each that could go, once",
    }
    a_pinned_object_that_is_not_listed_is_found: ListsWhatCouldGoAlone => {
        a_listing_has_each_object_once_pinned_ones_too: "each that can be looked up, once",
    }
    a_pinned_object_that_goes_is_found: CondemnsWhatIsPinned => {
        a_pinned_object_is_not_shown_by_a_scan_and_not_condemned: "of which the second is pinned",
    }
    an_object_that_goes_though_it_was_used_is_found: CondemnsWhatWasUsed => {
        what_was_used_after_the_scan_is_spared: "two of which were used since",
    }
    a_condemned_object_in_sight_is_found: HitsWhatIsCondemned => {
        what_is_condemned_is_a_miss_at_once_and_its_bytes_count_until_it_is_evicted: "which is not there",
        a_candidate_that_is_gone_spares_what_took_its_place: "which is not there",
    }
    a_condemned_object_that_cannot_be_deleted_is_found: CannotDeleteWhatIsCondemned => {
        a_condemned_object_can_be_deleted: "Busy",
    }
    condemned_bytes_that_do_not_count_are_found: CountsCondemnedBytesAsFree => {
        what_is_condemned_is_a_miss_at_once_and_its_bytes_count_until_it_is_evicted: "bytes in use",
    }
    leaked_bytes_of_evictions_are_found: LeaksEvictedBytes => {
        what_is_condemned_is_a_miss_at_once_and_its_bytes_count_until_it_is_evicted: "bytes in use",
        a_store_without_room_asks_for_it_and_is_done: "used_bytes",
        eviction_beside_lookups_and_stores_takes_nothing_that_is_pinned: "bytes in use",
    }
    an_eviction_of_what_took_the_place_is_found: EvictsByPlaceAlone => {
        a_candidate_that_is_gone_spares_what_took_its_place: "what is to be spared",
    }
    an_eviction_of_what_is_in_sight_is_found: EvictsWhatIsNotCondemned => {
        what_was_not_condemned_is_not_evicted: "what is to be spared",
        what_is_pardoned_is_as_if_nothing_had_been: "what is to be spared",
    }
    an_eviction_of_what_is_wanted_again_is_found: EvictsWhatIsWantedAgain => {
        a_store_of_a_condemned_key_keeps_its_object: "it was stored anew",
    }
    an_eviction_after_the_close_is_found: EvictsAfterClose => {
        nothing_can_be_evicted_after_close: "condemned after the close",
    }
    a_pardon_without_effect_is_found: NeverPardons => {
        what_is_pardoned_is_as_if_nothing_had_been: "no scan shows it",
        releases_count_when_something_can_go_that_could_not: "a pardon",
    }
    a_release_that_is_not_counted_is_found: CountsNoReleases => {
        releases_count_when_something_can_go_that_could_not: "a store",
    }
    a_release_of_an_old_object_that_is_not_told_is_found: ForgetsReleasesOfOldObjects => {
        nothing_became_free_since_a_scan_that_was_used_before_what_is_told: "a store of what was used",
    }
    a_batch_that_goes_from_its_head_is_found: StampsBatchesForwards => {
        of_a_batch_the_last_key_was_used_least_lately: "after a store",
        a_store_without_room_asks_for_it_and_is_done: "which is not there",
    }
    a_hit_that_is_no_use_is_found: HitsAreNoUse => {
        what_was_used_after_the_scan_is_spared: "two of which were used since",
        of_a_batch_the_last_key_was_used_least_lately: "after a lookup",
        a_lookup_and_a_load_make_an_object_the_latest: "after a lookup",
        what_was_looked_up_or_loaded_counts_as_used_again: "after a lookup",
    }
    a_load_that_is_no_use_is_found: LoadsAreNoUse => {
        what_was_used_after_the_scan_is_spared: "two of which were used since",
        of_a_batch_the_last_key_was_used_least_lately: "after a load",
        a_lookup_and_a_load_make_an_object_the_latest: "after a load",
        what_was_looked_up_or_loaded_counts_as_used_again: "after a load",
    }
    a_use_that_is_forgotten_is_found: NothingIsReused => {
        what_was_looked_up_or_loaded_counts_as_used_again: "after a lookup",
    }
    a_mark_without_effect_is_found: IgnoresMarks => {
        what_was_looked_up_or_loaded_counts_as_used_again: "after it was marked",
    }
    a_store_that_asks_for_no_room_is_found: NeverAsksForRoom => {
        a_store_without_room_asks_for_it_and_is_done: "do not fit",
        a_store_for_which_no_room_is_made_is_rejected: "nobody was asked",
        an_object_that_grows_asks_for_room: "do not fit",
        stores_from_many_threads_share_the_room_that_is_made: "do not fit",
    }
    a_store_that_asks_for_room_without_need_is_found: AsksForRoomWithoutNeed => {
        a_store_with_room_asks_nobody: "there was room",
    }
    a_lost_cache_is_found: ForgetsWhenReopened => {
        what_was_stored_is_found_after_reopening: "Miss",
        listeners_hear_of_what_was_kept_as_recovered: "Miss",
        what_was_kept_can_be_deleted_without_a_lookup: "Absent",
        what_was_deleted_stays_deleted_after_reopening: "Miss",
    }
    forgotten_bytes_are_found: CountsFromZeroWhenReopened => {
        what_was_kept_counts_towards_the_capacity: "what is on the storage is counted",
    }
    damage_that_is_served_is_found: ServesDamage => {
        an_object_whose_storage_is_gone_is_dropped_and_can_be_stored_again: "is wrong",
        an_object_whose_storage_was_cut_is_dropped_and_can_be_stored_again: "is wrong",
        damage_while_closed_is_never_served: "is wrong",
    }
    a_key_that_never_heals_is_found: NeverHeals => {
        an_object_whose_storage_is_gone_is_dropped_and_can_be_stored_again: "AlreadyPresent",
        an_object_whose_storage_is_empty_is_dropped_and_can_be_stored_again: "AlreadyPresent",
    }
}

/// The names of the suite's functions, read from its source.
fn functions() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/testing/conformance");
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let heads = text.lines().filter_map(|line| line.strip_prefix("pub fn ")?.split_once("(factory: "));
        names.extend(heads.map(|(name, _)| name.to_owned()));
    }
    assert!(names.len() > 50, "the source of the suite is found");
    names
}

#[test]
fn each_function_of_the_suite_is_run_and_has_been_seen_to_fail() {
    let run = include_str!("../src/testing/conformance/mod.rs");
    let run: Vec<&str> = run.lines().map(str::trim).collect();
    let seen = include_str!("suite_can_fail.rs");
    for name in functions() {
        assert!(run.contains(&name.as_str()), "conformance_suite! does not run {name}");
        assert!(seen.contains(&format!("        {name}: ")), "no fault above is found by {name}");
    }
}
