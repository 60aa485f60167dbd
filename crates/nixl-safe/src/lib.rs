//! A safe layer over NIXL: find and load it, agents, backends, registrations, transfers.
