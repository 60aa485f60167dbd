"""What was stored, used and deleted, told to LMCache's listeners: once, in order, before the result is given out."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lmcache.logging import init_logger

import nixl_l2

if TYPE_CHECKING:
    from lmcache.v1.distributed.api import ObjectKey
    from lmcache.v1.distributed.internal_api import L2AdapterListener

    from ._adapter import _Adapter

logger = init_logger(__name__)

#: How long the thread waits before it looks whether it is still wanted, in seconds.
_LOOK_AGAIN = 60.0
#: How long it keeps still after a failure that is not a listener's, in seconds.
_AFTER_FAILURE = 1.0
#: How long closing waits for a listener that does not return, each time, in seconds.
_CLOSE_LIMIT = 10.0


class Teller:
    """Takes an adapter's events and tells them; and closes the adapter when LMCache drops it.

    Whoever takes a result tells first what is waiting. What nobody asked for (an eviction of nixl-l2's own, an object
    found on the disk or gone from it) is told by a thread, which holds no lock while it waits and no adapter.
    """

    def __init__(self, adapter: _Adapter, native: nixl_l2.Adapter) -> None:
        self._native: nixl_l2.Adapter | None = native
        # Re-entrant, for a listener may call the adapter.
        self._lock = threading.RLock()
        self._adapter = weakref.ref(adapter)
        self._ended = threading.Event()
        self._process = os.getpid()
        self._close = weakref.finalize(adapter, _close, native, self._ended, self._process)
        self._thread: threading.Thread | None = None

    @property
    def forked(self) -> bool:
        """Whether this is a child of the process that opened the adapter. There a lock may be held by a thread that the
        child does not have, so that nothing is told, added or closed."""
        return os.getpid() != self._process

    def begin(self) -> None:
        """Begins to tell; again does nothing. Events bear the adapter's name, which LMCache gives it once it is made:
        until then, or until it is used without a name, what is found at the start waits."""
        if self._thread is not None or (both := self._open()) is None:
            return
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._watch, args=both[1:], name="nixl-l2:tell", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    # No thread is to be had, or the interpreter ends. Those who take results tell all the same.
                    logger.exception("no thread that tells")
                else:
                    self._thread = thread

    def tell(self) -> None:
        """Tells what is waiting. Raises nothing: what fails is logged, and harms no task of the adapter."""
        if self._open() is not None:
            self.begin()
            with self._lock:
                _guarded(self._tell)

    def deleted(self, absent: list[ObjectKey]) -> None:
        """Tells what is waiting after a delete, and first of the keys that were not there: whoever asked for them may
        have heard of their store after their deletion. What is stored anew meanwhile is told after."""
        if (both := self._open()) is not None:
            with self._lock:
                if absent:
                    # No bytes: the base class's ledger stays as it is.
                    _guarded(both[0]._notify_keys_deleted, absent, [0] * len(absent))
                self.tell()

    def accessed(self, keys: list[ObjectKey]) -> None:
        """Tells that these were found or loaded."""
        if keys and (both := self._open()) is not None:
            with self._lock:
                _guarded(both[0]._notify_keys_accessed, keys)

    def touch(self, keys: list[ObjectKey]) -> None:
        """Tells the listeners, and not the event bus, that these are in use."""
        if keys and (both := self._open()) is not None:
            with self._lock:
                for listener in both[0]._listeners:
                    _guarded(listener.on_l2_keys_accessed, keys)

    def add(self, listener: L2AdapterListener) -> None:
        """Adds a listener and tells it what is there, unless that was not told to the others yet either."""
        if (both := self._open()) is None:
            return
        adapter, native = both
        with self._lock:
            self.tell()
            adapter._listeners.append(listener)
            _guarded(_tell_all, native, listener)

    def close(self) -> None:
        """Closes the adapter, tells what happened until then, and lets go of it. A listener that does not return (it
        may be waiting for this very call) is left behind, with a line in the log."""
        if self.forked:
            return
        self._close()
        if self._thread is not None:
            if self._lock.acquire(timeout=_CLOSE_LIMIT):
                try:
                    _guarded(self._tell)
                finally:
                    self._lock.release()
            if self._thread is not threading.current_thread():
                self._thread.join(_CLOSE_LIMIT)
                if self._thread.is_alive():
                    logger.warning("closed, though a listener has not returned yet")
        self._native = None

    def _open(self) -> tuple[_Adapter, nixl_l2.Adapter] | None:
        """The adapter and what is below it; None when either is gone, and in a fork."""
        adapter, native = self._adapter(), self._native
        return None if adapter is None or native is None or self.forked else (adapter, native)

    def _tell(self) -> None:
        if (both := self._open()) is None:
            return
        adapter, native = both
        for kind, keys, sizes in native.take_events():
            if kind == "stored":
                _guarded(adapter._notify_keys_stored, keys, sizes)
            else:
                _guarded(adapter._notify_keys_deleted, keys, sizes)

    def _watch(self, native: nixl_l2.Adapter) -> None:
        while not self._ended.is_set():
            try:
                if native.wait_events(_LOOK_AGAIN) and not self._ended.is_set():
                    with self._lock:
                        self._tell()
            except Exception:
                logger.exception("what happened could not be told")
                self._ended.wait(_AFTER_FAILURE)


def _tell_all(native: nixl_l2.Adapter, listener: L2AdapterListener) -> None:
    """Tells a listener what is there."""
    cursor = None
    while True:
        found, cursor = native.list_keys(cursor=cursor)
        if found:
            keys, sizes = zip(*found, strict=True)
            _guarded(listener.on_l2_keys_stored, list(keys), list(sizes))
        if cursor is None:
            return


def _close(native: nixl_l2.Adapter, ended: threading.Event, process: int) -> None:
    if os.getpid() == process:
        ended.set()
        native.close()


def _guarded(tell: Callable[..., Any], *args: Any) -> None:
    try:
        tell(*args)
    except Exception:
        logger.exception("listeners could not be told")
