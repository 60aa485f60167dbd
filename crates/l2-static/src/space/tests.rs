//! The space beside a plain model: one flag per page.

use super::{Extent, Space};
use proptest::prelude::*;

/// Free or not, page by page and file by file.
struct Model(Vec<Vec<bool>>);

impl Model {
    fn new(files: u32, pages_per_file: u64) -> Self {
        Self((0..files).map(|_| (0..pages_per_file).map(|_| true).collect()).collect())
    }

    fn free(&self) -> u64 {
        self.runs().iter().map(|run| run.pages).sum()
    }

    /// The free runs by address, none of which touches another.
    fn runs(&self) -> Vec<Extent> {
        let mut runs: Vec<Extent> = Vec::new();
        for (file, pages) in (0..).zip(&self.0) {
            let mut open = false;
            for (first, free) in (0..).zip(pages) {
                match runs.last_mut() {
                    Some(run) if *free && open => run.pages += 1,
                    _ if *free => runs.push(Extent { file, first, pages: 1 }),
                    _ => {}
                }
                open = *free;
            }
        }
        runs
    }

    /// Turns every page of `extent` over; each must have been `free`.
    fn turn(&mut self, extent: Extent, free: bool) {
        let file = &mut self.0[extent.file as usize];
        let [start, end] =
            [extent.first, extent.first + extent.pages].map(|page| usize::try_from(page).unwrap());
        assert!(extent.pages > 0 && end <= file.len(), "{extent:?} crosses its file's end");
        for page in &mut file[start..end] {
            assert_eq!(*page, free, "{extent:?}");
            *page = !free;
        }
    }

    /// What must be taken where one run is enough, and otherwise how many runs are needed at least.
    fn expected(&self, pages: u64) -> Result<Extent, usize> {
        let runs = self.runs();
        let fitting = runs.iter().filter(|run| run.pages >= pages);
        if let Some(best) = fitting.min_by_key(|run| (run.pages, run.file, run.first)) {
            return Ok(Extent { pages, ..*best });
        }
        let mut lengths: Vec<u64> = runs.iter().map(|run| run.pages).collect();
        lengths.sort_unstable();
        let (mut left, mut count) = (pages, 0);
        while left > 0 {
            left = left.saturating_sub(lengths.pop().unwrap_or(left));
            count += 1;
        }
        Err(count)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Take(u64),
    GiveBack(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1u64..12).prop_map(Step::Take),
        1 => (1u64..90).prop_map(Step::Take),
        3 => any::<usize>().prop_map(Step::GiveBack),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn a_page_belongs_to_at_most_one_object_and_free_plus_owned_is_the_pool(
        files in 1u32..6,
        pages_per_file in 1u64..24,
        steps in steps(),
    ) {
        let mut space = Space::new(files, pages_per_file);
        let mut model = Model::new(files, pages_per_file);
        let mut owned: Vec<Vec<Extent>> = Vec::new();
        for step in steps {
            match step {
                Step::Take(pages) => {
                    let fits = pages <= model.free();
                    let expected = model.expected(pages);
                    let taken = space.take(pages);
                    prop_assert_eq!(taken.is_some(), fits, "{} pages, {} free", pages, model.free());
                    let Some(extents) = taken else { continue };
                    prop_assert_eq!(extents.iter().map(|extent| extent.pages).sum::<u64>(), pages);
                    prop_assert!(extents.is_sorted_by(|a, b| (a.file, a.first) < (b.file, b.first)));
                    match expected {
                        Ok(best) => prop_assert_eq!(&extents, &[best]),
                        Err(fewest) => prop_assert_eq!(extents.len(), fewest),
                    }
                    for extent in &extents {
                        model.turn(*extent, true);
                    }
                    owned.push(extents);
                }
                Step::GiveBack(_) if owned.is_empty() => {}
                Step::GiveBack(pick) => {
                    let extents = owned.swap_remove(pick % owned.len());
                    for extent in &extents {
                        model.turn(*extent, false);
                    }
                    space.give_back(&extents);
                }
            }
            let runs = model.runs();
            let held: u64 = owned.iter().flatten().map(|extent| extent.pages).sum();
            prop_assert_eq!(space.free_pages(), model.free());
            prop_assert_eq!(space.free_pages() + held, space.total_pages());
            prop_assert_eq!(space.runs(), runs.len() as u64);
            prop_assert_eq!(space.longest_free(), runs.iter().map(|run| run.pages).max().unwrap_or(0));
        }
        for extents in owned {
            space.give_back(&extents);
        }
        prop_assert_eq!(space.free_pages(), u64::from(files) * pages_per_file);
        prop_assert_eq!((space.runs(), space.longest_free()), (u64::from(files), pages_per_file));
    }
}

#[test]
fn a_huge_pool_is_free_from_the_start_and_can_be_taken_whole_files_at_a_time() {
    let mut space = Space::new(u32::MAX, 1 << 30);
    assert_eq!(space.total_pages(), u64::from(u32::MAX) << 30);
    assert_eq!((space.runs(), space.longest_free()), (u64::from(u32::MAX), 1 << 30));
    let taken = space.take((3 << 30) + 5).unwrap();
    assert_eq!(taken.len(), 4);
    assert_eq!(taken[3], Extent { file: 3, first: 0, pages: 5 });
    space.give_back(&taken);
    assert_eq!(space.free_pages(), space.total_pages());
}

#[test]
fn more_pages_than_can_be_counted_are_left_out() {
    let space = Space::new(4, u64::MAX);
    assert_eq!(space.total_pages(), (u64::MAX / 4) * 4);
    assert_eq!(space.longest_free(), u64::MAX / 4);
}

#[test]
fn no_pages_are_no_extents() {
    let mut space = Space::new(1, 1);
    assert_eq!(space.take(0), Some(Vec::new()));
    assert_eq!(space.take(1).map(|taken| taken.len()), Some(1));
    assert_eq!(space.take(0), Some(Vec::new()));
    assert_eq!(space.take(1), None);
}

#[test]
fn an_object_of_many_pages_is_taken_from_files_of_one_page() {
    let mut space = Space::new(60_000, 1);
    let singles: Vec<_> = (0..60_000).map(|_| space.take(1).unwrap()).collect();
    for single in singles.iter().step_by(2) {
        space.give_back(single);
    }
    let taken = space.take(8192).unwrap();
    assert_eq!(taken.len(), 8192);
    assert!(taken.iter().all(|extent| extent.file.is_multiple_of(2)));
    space.give_back(&taken);
    assert_eq!(space.free_pages(), 30_000);
}

/// Extents per object when objects of `sizes` replace each other at random in a pool that is kept `percent` full.
fn extents_per_object(sizes: &[u64], percent: u64) -> f64 {
    const OBJECTS: u32 = 6000;
    let mut space = Space::new(50, 4096);
    let mut owned: Vec<Vec<Extent>> = Vec::new();
    let mut state = 88_172_645_463_325_252_u64;
    // Marsaglia's xorshift: any steady sequence does.
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as usize % below
    };
    let mut extents = 0;
    for object in 0..2 * OBJECTS {
        let pages = sizes[random(sizes.len())];
        while (space.total_pages() - space.free_pages() + pages) * 100 > percent * space.total_pages() {
            let victim = random(owned.len());
            space.give_back(&owned.swap_remove(victim));
        }
        let taken = space.take(pages).unwrap();
        if object >= OBJECTS {
            extents += taken.len();
        }
        owned.push(taken);
    }
    extents as f64 / f64::from(OBJECTS)
}

#[test]
fn objects_of_one_size_are_never_split_in_a_pool_of_their_multiples() {
    assert_eq!(extents_per_object(&[256], 100), 1.0);
}

#[test]
fn mixed_sizes_do_not_shatter_the_pool() {
    let any: Vec<u64> = (1..=512).collect();
    for (sizes, percent, most) in
        [(&any[..], 80, 1.01), (&any, 95, 1.3), (&[16, 64, 256, 1024], 80, 1.0), (&[100, 37], 95, 1.01)]
    {
        let found = extents_per_object(sizes, percent);
        assert!(found <= most, "{found} extents per object at {percent} %, of {} sizes", sizes.len());
    }
}
