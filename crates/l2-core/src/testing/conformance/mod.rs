//! The conformance suite: one function per sentence of the contract, named as that sentence.
//!
//! Each takes a [`Factory`], makes a fresh adapter, and panics where the adapter does not keep its word.
//! [`crate::conformance_suite!`] makes a `#[test]` of each. Nothing depends on timing: what the contract promises
//! without saying when is asked for until [`Factory::limit`].
//!
//! [`Factory`]: crate::testing::Factory
//! [`Factory::limit`]: crate::testing::Factory::limit
//!
//! The functions with threads draw from a seed, which a failure names; `L2_SEED=number` sets it. The one against a
//! model is a proptest: `PROPTEST_CASES` and `PROPTEST_RNG_SEED` are heeded.
#![expect(
    missing_docs,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this module is a test suite: it fails by panicking, and the name of each function says what it tests"
)]

mod basics;
mod capacity;
mod closing;
mod concurrency;
mod damage;
mod eviction;
mod hosts;
mod keys;
mod lengths;
mod listeners;
mod model;
mod pins;
mod recency;
mod reopening;
mod room;

pub use basics::*;
pub use capacity::*;
pub use closing::*;
pub use concurrency::*;
pub use damage::*;
pub use eviction::*;
pub use hosts::*;
pub use keys::*;
pub use lengths::*;
pub use listeners::*;
pub use model::*;
pub use pins::*;
pub use recency::*;
pub use reopening::*;
pub use room::*;

/// What every file of the suite uses.
mod prelude {
    pub(super) use std::slice::from_ref;
    pub(super) use std::sync::Arc;

    pub(super) use super::all_at_once;
    pub(super) use crate::adapter::L2Adapter;
    pub(super) use crate::error::ErrorKind;
    pub(super) use crate::key::ObjectKey;
    pub(super) use crate::report::{Deleted, LoadItem, Looked, StoreItem, Stored};
    pub(super) use crate::testing::factory::{Damage, Factory, Options};
    pub(super) use crate::testing::fixtures::{Seeded, key, key_of, keys};
    pub(super) use crate::testing::host::{Host, check_load, failed_as, is_written};
    pub(super) use crate::usage::Usage;
}

/// Runs each on a thread of its own, all started at once, and gives their results in order; panics as the first that
/// panicked.
fn all_at_once<T: Send>(jobs: impl IntoIterator<Item: FnOnce() -> T + Send>) -> Vec<T> {
    let jobs: Vec<_> = jobs.into_iter().collect();
    let barrier = &std::sync::Barrier::new(jobs.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = jobs
            .into_iter()
            .map(|job| {
                scope.spawn(move || {
                    barrier.wait();
                    job()
                })
            })
            .collect();
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        results
            .into_iter()
            .map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

/// One `#[test]` per sentence of the contract, for the adapters that a [`Factory`](crate::testing::Factory) makes.
///
/// The expression is evaluated once per test.
///
/// ```text
/// mod buffered {
///     l2_core::conformance_suite!(crate::Buffered::default());
/// }
/// ```
#[macro_export]
macro_rules! conformance_suite {
    ($factory:expr) => {
        $crate::conformance_suite! { @all_but_eviction $factory }
        $crate::conformance_suite! { @tests $factory;
            // eviction
            a_scan_shows_each_object_that_could_go_once
            a_listing_has_each_object_once_pinned_ones_too
            what_is_condemned_is_a_miss_at_once_and_its_bytes_count_until_it_is_evicted
            listeners_hear_of_what_was_evicted
            a_pinned_object_is_not_shown_by_a_scan_and_not_condemned
            what_was_used_after_the_scan_is_spared
            what_was_not_condemned_is_not_evicted
            what_is_pardoned_is_as_if_nothing_had_been
            a_store_of_a_condemned_key_keeps_its_object
            a_condemned_object_can_be_deleted
            a_candidate_that_is_gone_spares_what_took_its_place
            releases_count_when_something_can_go_that_could_not
            nothing_became_free_since_a_scan_that_was_used_before_what_is_told
            nothing_can_be_evicted_after_close
            eviction_beside_lookups_and_stores_takes_nothing_that_is_pinned
            // recency
            of_a_batch_the_last_key_was_used_least_lately
            a_lookup_and_a_load_make_an_object_the_latest
            what_was_looked_up_or_loaded_counts_as_used_again
            // room
            a_store_without_room_asks_for_it_and_is_done
            a_store_with_room_asks_nobody
            a_store_for_which_no_room_is_made_is_rejected
            an_object_that_grows_asks_for_room
            stores_from_many_threads_share_the_room_that_is_made
        }
    };
    // For an adapter from which something else than its own `evictable` evicts.
    (@all_but_eviction $factory:expr) => {
        $crate::conformance_suite! { @tests $factory;
            // basics
            what_is_stored_is_loaded_byte_for_byte
            what_is_stored_can_be_looked_up_with_its_length
            a_key_that_was_never_stored_is_a_miss
            a_store_of_a_present_key_writes_nothing
            of_a_key_twice_in_one_batch_one_is_stored
            a_batch_reports_each_key_in_order
            an_empty_batch_ends
            a_batch_of_hundreds_ends
            task_numbers_count_from_0_across_kinds
            a_hit_in_the_index_is_answered_at_once
            a_deleted_object_is_a_miss
            a_deleted_key_can_be_stored_again
            deleting_an_unknown_key_is_absent
            the_status_counts_what_is_there
            // lengths
            a_large_object_is_whole
            objects_of_many_lengths_are_whole
            a_load_into_a_lease_of_another_length_is_an_error_and_touches_nothing_else
            neighbours_of_a_failed_load_are_loaded
            lengths_that_add_up_are_no_excuse_for_lengths_that_differ
            an_object_of_another_length_takes_the_place_of_the_old_one
            a_pinned_object_is_not_replaced
            // pins
            a_pinned_object_is_not_deleted
            pins_count
            unlocking_unknown_keys_is_harmless
            unlocking_more_than_was_pinned_is_harmless
            misses_pin_nothing
            a_load_needs_no_pin_and_takes_none
            a_lookup_dropped_when_done_gives_its_pins_back
            a_lookup_dropped_before_it_is_done_gives_its_pins_back
            a_dropped_lookup_gives_back_no_pin_but_its_own
            what_was_taken_from_a_lookup_keeps_its_pins
            a_pin_belongs_to_the_lookup_that_took_it
            a_lookups_pins_are_given_back_one_for_each_occurrence
            giving_back_pins_of_a_task_that_has_none_is_harmless
            a_dropped_lookup_gives_back_its_own_pin_whatever_else_was_unlocked
            // capacity
            what_does_not_fit_is_rejected_and_what_fits_is_kept
            rejected_stores_give_their_bytes_back
            an_object_larger_than_the_capacity_is_rejected
            what_does_not_fit_over_an_old_object_is_rejected_and_adds_up
            deleting_frees_the_bytes
            the_capacity_is_what_was_asked_for
            stores_from_many_threads_never_pass_the_capacity
            the_usage_of_all_tenants_adds_up_to_the_usage
            // keys
            two_tenants_never_meet
            keys_that_differ_in_one_part_name_different_objects
            keys_whose_names_look_alike_name_different_objects
            long_and_strange_keys_work
            // concurrency
            the_same_key_in_many_tasks_at_once_is_stored_once_and_never_leaks
            loads_beside_deletes_and_stores_never_give_wrong_bytes
            many_threads_mix_everything_and_it_adds_up
            // model
            any_sequence_of_calls_does_what_a_plain_map_does
            // closing
            closing_gives_every_task_its_result
            tasks_after_close_end_as_closed
            calls_after_close_are_harmless
            close_twice_is_harmless
            a_dropped_adapter_closes
            // hosts
            the_event_descriptors_are_three_and_stay_the_same
            each_event_descriptor_is_raised_by_its_kind_alone
            results_can_be_taken_when_the_event_is_raised
            each_task_raises_its_event_by_one
            tasks_that_fail_raise_their_event
            tasks_can_be_awaited_without_a_runtime
            leases_come_back_with_the_outcome
            l1_is_free_again_after_everything
            memory_may_be_read_and_stored_many_times_at_once
            a_dropped_task_goes_on
            // listeners
            listeners_hear_of_each_change_in_the_order_of_the_batch
            a_listener_hears_first_of_what_is_there
            listeners_hear_in_the_order_in_which_they_were_added
            listeners_do_not_hear_of_what_did_not_happen
            what_listeners_hear_adds_up_to_the_usage
            listeners_may_call_the_adapter
            a_panicking_listener_does_not_lose_an_object
            // reopening
            what_was_stored_is_found_after_reopening
            listeners_hear_of_what_was_kept_as_recovered
            what_was_kept_counts_towards_the_capacity
            what_was_kept_is_not_written_again
            what_was_kept_can_be_deleted_without_a_lookup
            what_was_deleted_stays_deleted_after_reopening
            a_load_of_what_was_kept_is_right_or_a_miss
            // damage
            an_object_whose_storage_is_gone_is_dropped_and_can_be_stored_again
            an_object_whose_storage_was_cut_is_dropped_and_can_be_stored_again
            an_object_whose_storage_is_empty_is_dropped_and_can_be_stored_again
            damage_while_closed_is_never_served
        }
    };
    (@tests $factory:expr; $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                $crate::testing::conformance::$name(&$factory);
            }
        )*
    };
}
