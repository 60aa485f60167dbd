//! Reading ahead: memory that is needed soon begins to move into the processor's caches, and nobody waits for it.

/// Begins to move `what` into the processor's caches. A hint: it changes nothing, and on processors other than `x86_64` and
/// aarch64 it does nothing.
///
/// For many places that lie far apart, asked for one after the other before the first is used: each then costs a
/// fraction of the way to main memory, for they are under way together.
#[inline]
pub fn prefetch<T>(what: &T) {
    prefetch_at(what);
}

/// [`prefetch`] of what lies there, or did: for who may no longer look, such as after a lock is given back. Taking and giving
/// back locks between requests would have the processor wait for them.
#[inline]
pub fn prefetch_at<T>(what: *const T) {
    /// Bytes of a line.
    const LINE: usize = 64;
    let first = what.cast::<i8>();
    let last = first.wrapping_add(size_of::<T>().saturating_sub(1));
    line(first);
    // What is longer than two lines is read ahead at its ends alone.
    if first.addr() / LINE != last.addr() / LINE {
        line(last);
    }
}

#[inline]
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    expect(unused_variables, reason = "there is no such instruction")
)]
fn line(at: *const i8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads and writes nothing that a program can see, and faults at no address: any pointer will do.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a prefetch reads and writes nothing that a program can see, and faults at no address: any pointer will do.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_can_be_asked_for_and_stays_as_it_is() {
        let numbers = vec![7u64; 1000];
        numbers.iter().for_each(prefetch);
        prefetch(&[0u8; 200]);
        prefetch(&());
        prefetch_at(std::ptr::null::<u64>());
        prefetch_at(&raw const numbers);
        assert!(numbers.iter().all(|number| *number == 7));
    }
}
