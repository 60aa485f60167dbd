//! The --l2-adapter JSON, checked: one validated type, every fault at once.
