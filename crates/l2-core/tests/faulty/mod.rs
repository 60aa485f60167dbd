//! Adapters with one fault each: the adapter in memory, and around it what goes wrong.

mod adapter;
mod evictable;
mod hub;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use l2_core::ObjectKey;
use l2_core::memory::Region;
use l2_core::testing::{Damage, Factory, MemoryAdapter, MemoryStorage, Opened, Options};

use adapter::Faulty;

/// What is wrong with an adapter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    // Pins.
    PinsNothing,
    PinsEachKeyOnce,
    PinsMisses,
    PinsWhatIsLoaded,
    UnlocksAllPins,
    UnlocksOtherKeys,
    UnlocksAgainLater,
    KeepsPinsOfDroppedLookups,
    UnlocksTheMissesOfDroppedLookups,
    UnlocksPinsOfOtherLookups,
    DropsPinsOfOtherLookups,
    // What is stored, found and loaded.
    SwapsTheFirstTwoLoads,
    LoadsTheFirstHalf,
    IgnoresLengths,
    FailsAllLoadsForOne,
    HitsEverything,
    HalvesLengths,
    MissesTheLastOfMany,
    RewritesWhatIsPresent,
    ReplacesInSilence,
    ReversesReports,
    FreesWhatIsAbsent,
    // Bytes.
    LeaksRejectedBytes,
    LeaksDeletedBytes,
    CountsDuplicates,
    HasTwiceTheCapacity,
    TellsAnotherCapacity,
    // Eviction.
    ShowsWhatIsPinned,
    ShowsObjectsTwice,
    ListsWhatCouldGoAlone,
    CondemnsWhatIsPinned,
    CondemnsWhatWasUsed,
    HitsWhatIsCondemned,
    CannotDeleteWhatIsCondemned,
    CountsCondemnedBytesAsFree,
    LeaksEvictedBytes,
    EvictsByPlaceAlone,
    EvictsWhatIsNotCondemned,
    EvictsWhatIsWantedAgain,
    EvictsAfterClose,
    NeverPardons,
    CountsNoReleases,
    ForgetsReleasesOfOldObjects,
    StampsBatchesForwards,
    HitsAreNoUse,
    LoadsAreNoUse,
    NothingIsReused,
    IgnoresMarks,
    NeverAsksForRoom,
    AsksForRoomWithoutNeed,
    // Keys.
    MixesTenants,
    MixesSlashesAndDashes,
    CannotWriteLongNames,
    // Tasks, events and leases.
    NumbersAllTasks0,
    RaisesTheWrongEvent,
    RaisesEventsTwice,
    SharesEventsWithOthers,
    EndsTasksAtClose,
    NeverEndsTasks,
    NeverEndsLoads,
    CancelsDroppedStores,
    KeepsLeases,
    // Listeners.
    DropsWhatAListenerPanickedAt,
    TellsListenersBackwards,
    TellsNothing,
    TellsOfPresentObjects,
    // Closing and opening again.
    CannotCloseTwice,
    MissesAfterClose,
    IsHealthyAfterClose,
    ForgetsWhenReopened,
    CountsFromZeroWhenReopened,
    // Damage.
    ServesDamage,
    NeverHeals,
}

/// Makes adapters with a fault.
pub(crate) struct FaultyFactory {
    fault: Fault,
    storage: Mutex<MemoryStorage>,
}

impl FaultyFactory {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, storage: Mutex::default() }
    }

    fn make(&self, storage: MemoryStorage, options: Options) -> Opened {
        let capacity = match self.fault {
            Fault::HasTwiceTheCapacity => 2 * options.capacity_bytes,
            _ => options.capacity_bytes,
        };
        let inner = Arc::new(MemoryAdapter::open(storage, capacity).unwrap());
        let adapter = Faulty::new(self.fault, inner, options.capacity_bytes);
        Opened { adapter: Arc::new(adapter), l1: Region::allocate(options.l1_bytes).unwrap() }
    }
}

impl Factory for FaultyFactory {
    fn open(&self, options: Options) -> Opened {
        let storage = MemoryStorage::default();
        *self.storage.lock().unwrap() = storage.clone();
        self.make(storage, options)
    }

    fn reopen(&self, options: Options) -> Option<Opened> {
        let storage = match self.fault {
            Fault::ForgetsWhenReopened => MemoryStorage::default(),
            _ => self.storage.lock().unwrap().clone(),
        };
        Some(self.make(storage, options))
    }

    fn damage(&self, key: &ObjectKey, damage: Damage) -> bool {
        let storage = self.storage.lock().unwrap();
        match damage {
            Damage::Gone => storage.lose(key),
            Damage::Cut => storage.cut(key, self.object_bytes() / 2),
            Damage::Empty => storage.cut(key, 0),
        }
    }

    fn limit(&self) -> Duration {
        match self.fault {
            // These are found by waiting for what never comes.
            Fault::EndsTasksAtClose
            | Fault::NeverEndsTasks
            | Fault::NeverEndsLoads
            | Fault::CancelsDroppedStores
            | Fault::KeepsLeases
            | Fault::KeepsPinsOfDroppedLookups
            | Fault::RaisesTheWrongEvent
            | Fault::TellsNothing
            | Fault::CountsFromZeroWhenReopened => Duration::from_millis(300),
            _ => Duration::from_secs(30),
        }
    }
}
