"""A stand-in for LMCache: the names that nixl_l2.lmcache is made of, after the contract, not after LMCache's code.

The real one, with torch, has over 5 GB; `cargo xtask lmcache` runs the same tests on it.
"""
