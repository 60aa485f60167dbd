"""The adapter, and its end."""

from __future__ import annotations

import atexit
import weakref
from types import TracebackType
from typing import TYPE_CHECKING, Any

from . import _native, _nixl
from ._native import L1Memory

if TYPE_CHECKING:
    from typing_extensions import Self


class Adapter(_native.Adapter):
    """An open adapter: stores, looks up and loads chunks of KV, between memory and storage.

    ``config`` is the JSON that LMCache takes as ``--l2-adapter``, as text or as a dictionary; ``memory`` is what offsets are
    counted in. Opening loads NIXL (about 30 ms, once in a process) and takes the storage into use. The three ``submit_`` calls
    hand a batch over and return a number, from 0 and shared by the three kinds; the result of each task is taken once, by
    ``take_`` (at once, or None) or ``wait_`` (with a time limit). All calls may come from any thread, and none keeps the
    interpreter while it waits.

    Keys are any objects with the attributes model_name, kv_rank, object_group_id, cache_salt and chunk_hash, such as LMCache's
    own; ``ObjectKey`` is the cheapest. Offsets and lengths are bytes.

    ``key_type`` is called with the five parts, by name, to make the keys of ``list_keys`` and ``take_events``; by default they
    are ``ObjectKey``. ``chunk_bytes`` is the length of each object, if all have the same, for a pool without ``file_size``.
    With ``events`` what is stored, used and deleted is kept for ``take_events``, which then has to be called; without
    ``accesses`` what is used is left out, and hits are quicker.

    A context manager; closed when it is dropped, and at the end of the process. In a fork of the process every call raises
    ForkedError, and nothing is closed.

    Raises ConfigError with every fault of the configuration, NixlMissingError where NIXL is not installed, and StorageError
    where the storage cannot be used.
    """

    def __new__(
        cls,
        config: str | dict[str, Any],
        memory: L1Memory,
        *,
        key_type: Any = None,
        chunk_bytes: int | None = None,
        events: bool = False,
        accesses: bool = True,
    ) -> Self:
        # Where its own bindings are in use, what NIXL writes to standard error may be somebody's.
        _native.load_nixl(_nixl.directory(), _nixl.imported() is None)
        self = super().__new__(
            cls, config, memory, key_type=key_type, chunk_bytes=chunk_bytes, events=events, accesses=accesses
        )
        _open.add(self)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Of a cycle that is garbage this is run before anything goes that what is in flight may still use.
        self.close()

    def __repr__(self) -> str:
        return f"<nixl_l2.Adapter, {'closed' if self.closed else 'open'}, at {id(self):#x}>"


#: Those that are open, for the end of the process.
_open: weakref.WeakSet[Adapter] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    # While threads still run: those that wait come back before the interpreter ends.
    for adapter in list(_open):
        adapter.close()
