//! A directory of any objects, and what a plain list of them says.

use std::collections::{BTreeMap, BTreeSet};

use l2_core::{KeyScope, ObjectKey};
use l2_dynamic::tools::{ObjectFilter, SweepTerms, UsageBy, UsageOf};
use l2_index::paths::{Layout, key_to_path};
use proptest::prelude::*;
use proptest::sample::select;

use crate::place::{Place, paths, time};

const MODELS: [&str; 5] = ["m", "org/m", "a--b", "%", "x\u{1}"];
const SALTS: [&str; 4] = ["", "alice", "bob", "é"];

/// One object: key, layout, length, and when it was stored.
type Object = (ObjectKey, Layout, usize, u64);

fn object() -> impl Strategy<Value = Object> {
    let hash = prop::collection::vec(0..4u8, 1..4);
    let layout = select(&[Layout::Flat, Layout::Sharded][..]);
    let scope = (select(&MODELS[..]), select(&SALTS[..]), 0..2u64, 0..2u64);
    (scope, hash, layout, 1..3000usize, 0..20u64).prop_map(
        |((model, salt, rank, group), hash, layout, bytes, when)| {
            let key = KeyScope::new(model, rank, group, salt).unwrap().key(&hash).unwrap();
            (key, layout, bytes, when)
        },
    )
}

/// A directory with these objects in it, and foreign things; by path, the objects that there are.
fn filled(objects: &[Object]) -> (Place, BTreeMap<String, Object>) {
    let place = Place::fresh();
    place.put_foreign();
    let mut model = BTreeMap::new();
    for object in objects {
        let (key, layout, bytes, when) = object;
        let path = place.put_at(key, *layout, &vec![u8::try_from(*when).unwrap(); *bytes], time(*when));
        model.insert(path, object.clone());
    }
    (place, model)
}

fn filter() -> impl Strategy<Value = ObjectFilter> {
    let text = |texts: &'static [&'static str]| prop::option::of(select(texts).prop_map(str::to_owned));
    (
        text(&MODELS),
        text(&SALTS),
        prop::option::of(0..2u64),
        prop::option::of(0..2u64),
        text(&["0", "00", "03"]),
    )
        .prop_map(|(model_name, cache_salt, kv_rank, object_group_id, chunk_hash_prefix)| ObjectFilter {
            model_name,
            cache_salt,
            kv_rank,
            object_group_id,
            chunk_hash_prefix,
        })
}

/// The same, said in another way.
fn is_meant(filter: &ObjectFilter, key: &ObjectKey) -> bool {
    let ObjectFilter { model_name, cache_salt, kv_rank, object_group_id, chunk_hash_prefix } = filter;
    ![
        model_name.as_ref().is_some_and(|model| model != key.model_name()),
        cache_salt.as_ref().is_some_and(|salt| salt != key.cache_salt()),
        kv_rank.is_some_and(|rank| rank != key.kv_rank()),
        object_group_id.is_some_and(|group| group != key.object_group_id()),
        chunk_hash_prefix.as_ref().is_some_and(|prefix| !key.chunk_hash_hex().starts_with(prefix)),
    ]
    .contains(&true)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_listed_and_added_up_is_what_is_there(
        objects in prop::collection::vec(object(), 0..40), filter in filter(), limit in 1..9usize,
    ) {
        let (place, model) = filled(&objects);
        let before = place.snapshot();
        let tools = place.tools();
        let meant: BTreeMap<_, _> = model.iter().filter(|(_, (key, ..))| is_meant(&filter, key)).collect();

        let listing = tools.list(&filter, None, None);
        prop_assert_eq!(&listing.next, &None);
        let listed: Vec<_> =
            listing.objects.iter().map(|found| (&found.path, found.key.clone(), found.bytes, found.modified)).collect();
        let expect: Vec<_> =
            meant.iter().map(|(path, (key, _, bytes, when))| (*path, key.clone(), *bytes as u64, time(*when))).collect();
        prop_assert_eq!(listed, expect);

        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let page = tools.list(&filter, after.as_deref(), Some(limit));
            pages.extend(paths(&page));
            prop_assert!(page.next.is_none() || page.objects.len() == limit);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        prop_assert_eq!(pages, paths(&listing));

        for by in [UsageBy::Model, UsageBy::Salt, UsageBy::Rank, UsageBy::Group] {
            let usage = tools.usage(&filter, Some(by));
            let mut expect: BTreeMap<UsageOf, (u64, u64)> = BTreeMap::new();
            for (key, _, bytes, _) in meant.values() {
                let of = match by {
                    UsageBy::Model => UsageOf::Text(key.model_name().to_owned()),
                    UsageBy::Salt => UsageOf::Text(key.cache_salt().to_owned()),
                    UsageBy::Rank => UsageOf::Number(key.kv_rank()),
                    UsageBy::Group => UsageOf::Number(key.object_group_id()),
                };
                let share = expect.entry(of).or_default();
                *share = (share.0 + 1, share.1 + *bytes as u64);
            }
            let shares: BTreeMap<_, _> =
                usage.shares.into_iter().map(|(of, share)| (of, (share.objects, share.bytes))).collect();
            prop_assert_eq!(shares, expect);
            let bytes: u64 = meant.values().map(|(_, _, bytes, _)| *bytes as u64).sum();
            prop_assert_eq!((usage.total.objects, usage.total.bytes), (meant.len() as u64, bytes));
            prop_assert!(usage.failures.is_empty());
        }
        prop_assert_eq!(place.snapshot(), before, "to look changes nothing");
    }

    #[test]
    fn an_erase_takes_what_is_meant_and_nothing_else(
        objects in prop::collection::vec(object(), 0..40), model in prop::option::of(select(&MODELS[..])),
        salt in select(&SALTS[..]),
    ) {
        let (place, all) = filled(&objects);
        let tools = place.tools();
        let whose = ObjectFilter {
            model_name: model.map(str::to_owned), cache_salt: Some(salt.to_owned()), ..ObjectFilter::default()
        };
        let before = place.snapshot();
        let traces = tools.traces(&whose);
        prop_assert_eq!(place.snapshot(), before.clone(), "to look changes nothing");
        let erased = tools.erase(&whose).unwrap();
        prop_assert!(erased.is_proved(), "{:?}", erased.left);
        prop_assert_eq!(erased.objects, traces.objects);
        let mut expect = before;
        let meant = all.iter().filter(|(_, (key, ..))| is_meant(&whose, key));
        for (path, _) in meant {
            expect.remove(path).unwrap();
        }
        // Directories that held nothing else go, too.
        let is_empty = |expect: &BTreeMap<String, String>, path: &String| {
            path.ends_with('/') && !expect.keys().any(|other| other != path && other.starts_with(path.as_str()))
        };
        let foreign = ["empty/", "ab/ef/", "my/", "full_00000000_0_abcd.bin/"];
        while let Some(path) =
            expect.keys().find(|path| is_empty(&expect, path) && !foreign.contains(&path.as_str())).cloned()
        {
            expect.remove(&path);
        }
        prop_assert_eq!(place.snapshot(), expect);
    }

    #[test]
    fn a_migration_there_and_back_changes_nothing(objects in prop::collection::vec(object(), 0..40), sharded in any::<bool>()) {
        let [to, from] = if sharded { [Layout::Sharded, Layout::Flat] } else { [Layout::Flat, Layout::Sharded] };
        // All in one layout, so that there is a way back.
        let objects: Vec<Object> = objects.into_iter().map(|(key, _, bytes, when)| (key, from, bytes, when)).collect();
        let (place, model) = filled(&objects);
        let (tools, before) = (place.tools(), place.snapshot());
        let plan = tools.plan_migration(to);
        prop_assert_eq!(place.snapshot(), before.clone(), "to plan changes nothing");
        prop_assert_eq!(plan.moves.objects, model.len() as u64);
        let there = tools.migrate(&plan).unwrap();
        prop_assert_eq!((there.moved, there.failures.len()), (plan.moves, 0));
        let moved: BTreeSet<String> = model.values().map(|(key, ..)| key_to_path(key, to)).collect();
        let listing = tools.list(&ObjectFilter::default(), None, None);
        prop_assert_eq!(paths(&listing).into_iter().collect::<BTreeSet<_>>(), moved);
        prop_assert_eq!(tools.plan_migration(to).moves.objects, 0, "again there is nothing to do");
        let back = tools.migrate(&tools.plan_migration(from)).unwrap();
        prop_assert_eq!(back.moved, there.moved);
        prop_assert_eq!(place.snapshot(), before);
    }

    #[test]
    fn a_sweep_to_a_size_leaves_the_newest(
        objects in prop::collection::vec(object(), 0..40), to_bytes in 0..40_000u64, before in prop::option::of(0..20u64),
    ) {
        let (place, model) = filled(&objects);
        let tools = place.tools();
        let terms = SweepTerms { to_bytes: Some(to_bytes), modified_before: before.map(time), set_aside: false };
        let untouched = place.snapshot();
        let plan = tools.plan_sweep(&terms);
        prop_assert_eq!(place.snapshot(), untouched, "to plan changes nothing");
        let swept = tools.sweep(&plan);
        prop_assert!(swept.failures.is_empty() && swept.spared == 0);
        // The newest, as long as they fit: the first that does not goes with all before it.
        let mut newest: Vec<_> = model.iter().map(|(path, (_, _, bytes, when))| (*when, path.clone(), *bytes as u64)).collect();
        newest.sort();
        let (mut left, mut sum) = (BTreeSet::new(), 0);
        for (when, path, bytes) in newest.into_iter().rev() {
            if sum + bytes > to_bytes || before.is_some_and(|before| when < before) {
                break;
            }
            sum += bytes;
            left.insert(path);
        }
        let listing = tools.list(&ObjectFilter::default(), None, None);
        prop_assert_eq!(paths(&listing).into_iter().collect::<BTreeSet<_>>(), left);
        prop_assert_eq!((plan.stay.bytes, swept.objects.objects), (sum, plan.old.objects + plan.over.objects));
    }
}
