//! Benchmarks of nixl-l2, one file per layer, each beside its raw floor.
