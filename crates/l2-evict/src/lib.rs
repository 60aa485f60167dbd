//! Eviction policies and the watermark controller.
