"""The listener through which LMCache's eviction policies learn what there is."""

from .internal_api import L2AdapterListener


class L2EvictionPolicy(L2AdapterListener):
    def __init__(self, policy: object) -> None:
        self.policy = policy
