"""The configurations: `adapter_params` of LMCache's JSON, checked before anything is opened, every fault named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from lmcache.v1.distributed.l2_adapters.config import L2AdapterConfigBase

import nixl_l2


class _Config(L2AdapterConfigBase):
    """One adapter's parameters: the JSON object that LMCache's own adapter of that type takes, and nixl-l2's keys."""

    adapter_type: ClassVar[str]

    def __init__(self, params: Mapping[str, Any]) -> None:
        given = params.get("type", self.adapter_type)
        if given != self.adapter_type:
            raise ValueError(
                f"adapter_params.type is {given!r}, and the class is for {self.adapter_type!r}: leave it out, or name"
                " the other class in class_name"
            )
        #: What nixl_l2.Adapter takes.
        self.params: dict[str, Any] = {**params, "type": self.adapter_type}
        nixl_l2.check_config(self.params)

    @classmethod
    def from_dict(cls, d: dict[str, Any]) -> _Config:
        """Makes it of ``adapter_params``.

        Raises:
            ValueError: with every fault, one a line, and where it is.
        """
        return cls(d)

    @classmethod
    def help(cls) -> str:
        """Every key of ``adapter_params``, with its values and defaults."""
        return f"adapter_params of {cls.adapter_type!r}:\n\n{nixl_l2.config_help()}"

    @property
    def evicts(self) -> bool:
        """Whether nixl-l2's own eviction is on, so that LMCache's is to keep off."""
        eviction = self.params.get("eviction")
        return isinstance(eviction, Mapping) and eviction.get("eviction_policy") != "noop"


class NixlStoreL2AdapterConfig(_Config):
    """``adapter_params`` for ``NixlStoreL2Adapter``: a fixed pool of files, or of objects of an object store."""

    adapter_type = "nixl_store"


class NixlStoreDynamicL2AdapterConfig(_Config):
    """``adapter_params`` for ``NixlStoreDynamicL2Adapter``: a file for each object, in LMCache's names."""

    adapter_type = "nixl_store_dynamic"
