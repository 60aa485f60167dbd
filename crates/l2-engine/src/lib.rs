//! Worker threads, each with its own NIXL agent, that prepare, move and finish requests.
