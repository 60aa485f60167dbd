"""KV cache on storage for LLM servers, through NVIDIA's NIXL."""

from __future__ import annotations

import atexit
import weakref
from typing import Any

from . import _native, _nixl
from ._errors import (
    ClosedError,
    ConfigError,
    ForkedError,
    InvalidKeyError,
    MemoryRangeError,
    NixlL2Error,
    NixlMissingError,
    StorageError,
    TaskTimeoutError,
    UnknownTaskError,
)
from ._native import (
    DeleteReport,
    L1Memory,
    LoadReport,
    LookupReport,
    ObjectKey,
    StoreReport,
    Usage,
    __version__,
    check_config,
    config_help,
)

__all__ = [
    "Adapter",
    "ClosedError",
    "ConfigError",
    "DeleteReport",
    "ForkedError",
    "InvalidKeyError",
    "L1Memory",
    "LoadReport",
    "LookupReport",
    "MemoryRangeError",
    "NixlL2Error",
    "NixlMissingError",
    "ObjectKey",
    "StorageError",
    "StoreReport",
    "TaskTimeoutError",
    "UnknownTaskError",
    "Usage",
    "__version__",
    "check_config",
    "config_help",
]

#: The adapters that are open, to be closed at the end of the process.
_open: weakref.WeakSet[Adapter]


class Adapter(_native.Adapter):
    """An open adapter."""

    def __new__(
        cls,
        config: str | dict[str, Any],
        memory: L1Memory,
        *,
        key_type: Any = None,
        chunk_bytes: int | None = None,
        events: bool = False,
    ) -> Adapter:
        directory = _nixl.directory()
        _native.load_nixl(directory, _nixl.imported() is None)
        self = super().__new__(cls, config, memory, key_type=key_type, chunk_bytes=chunk_bytes, events=events)
        _open.add(self)
        return self

    def __enter__(self) -> Adapter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Before anything else of a garbage cycle goes: what is in flight may still use it.
        self.close()


_open = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for adapter in list(_open):
        adapter.close()
