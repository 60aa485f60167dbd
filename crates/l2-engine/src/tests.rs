//! Tests of what `tests/interleavings` compiles a second time, with other locks: there these would not run.

mod queue;
