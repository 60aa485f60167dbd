//! What must hold after a kill.

use anyhow::{Result, ensure};
use trials::{Cache, OnDisk, Universe, length_of};

/// Opens the cache again and looks at everything. How many objects it served.
pub(crate) fn check(cache: &Cache, universe: Universe) -> Result<u64> {
    let host = cache.host();
    host.eventually("what is on the disk is counted", || !host.adapter.status().recovering);
    let agree = || {
        let (used, disk) = (host.adapter.usage().used_bytes, OnDisk::of(cache.directory()));
        disk.is_ok_and(|disk| disk.bytes == used)
    };
    host.eventually("the bytes that are counted are those on the disk", agree);
    let disk = OnDisk::of(cache.directory())?;
    ensure!(disk.others.is_empty(), "temporaries are left: {:?}", disk.others);
    let mut served = 0;
    for number in 0..universe.len() {
        // Each byte is compared.
        served += universe.load(&host, &[number]) as u64;
    }
    ensure!(
        host.adapter.status().healed_objects == 0,
        "{} of {} objects were published and damaged: {:?}",
        host.adapter.status().healed_objects,
        disk.objects,
        host.adapter.status().healed
    );
    // It goes on as if nothing had been.
    let number = universe.len();
    let report = host.store_items(vec![host.item_of(&universe.key(number), length_of(number))]);
    ensure!(report.failures().next().is_none(), "it stores nothing any more: {report:?}");
    drop(report);
    // Right or a miss: a policy may have chosen it to go at once.
    universe.load(&host, &[number]);
    host.delete(&[universe.key(number)]);
    host.eventually("they still agree", agree);
    host.adapter.close()?;
    Ok(served)
}
