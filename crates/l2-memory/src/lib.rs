//! L1 memory that a transfer may own: regions, leases, and the borrow rules between them.
