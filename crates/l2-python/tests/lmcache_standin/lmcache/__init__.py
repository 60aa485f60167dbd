"""A stand-in for LMCache: the few names that nixl_l2.lmcache is made of, after the contract and not after LMCache's code.

The real one, with torch, has over 5 GB; `cargo xtask lmcache` runs the same tests on it.
"""
