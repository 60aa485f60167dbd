//! The nixl_store_dynamic adapter: one file per object, opened and registered per operation.
