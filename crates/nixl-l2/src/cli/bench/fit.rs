//! Whether the objects of a bench fit the capacity, before anything is opened.

use anyhow::{Result, bail};
use nixl_l2::{AdapterConfig, Capacity};

use super::Args;
use crate::cli::table;

/// A warning where eviction will have to make room.
///
/// # Errors
/// With the sum, where nothing would.
pub(super) fn check(config: &AdapterConfig, args: &Args) -> Result<Option<String>> {
    let alignment = usize::try_from(args.l1_align_bytes)?;
    let capacity = Capacity::of(config, alignment, args.object_bytes);
    let (wanted, objects, sum) = (u64::from(args.objects), capacity.objects(), capacity.sum());
    if wanted <= objects {
        return Ok(None);
    }
    let one = table::bytes(args.object_bytes);
    let all = table::bytes(args.object_bytes.saturating_mul(wanted));
    let what = format!("--objects {wanted} of {one} come to {all}, and {sum}, which is {objects} of them");
    if objects > 0 && config.eviction().is_some() {
        return Ok(Some(format!(
            "{what}; eviction will take the others away, and the numbers are of those that are left"
        )));
    }
    bail!("{what}; lower --objects, or {}", capacity.to_hold(wanted))
}
