//! For tests of adapters: the conformance suite, and an adapter in memory.
