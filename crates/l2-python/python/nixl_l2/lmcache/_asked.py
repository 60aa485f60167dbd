"""The lookups and loads whose results have not been taken, and the end of those that nobody asks for any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import nixl_l2

if TYPE_CHECKING:
    from lmcache.v1.distributed.api import ObjectKey

Kind: TypeAlias = Literal["lookup", "load"]
Report: TypeAlias = nixl_l2.LookupReport | nixl_l2.LoadReport

#: How long a result is kept where pins are kept for ever, in seconds.
_PINS_FOR_EVER = 600.0
#: How many are looked at each time. An abandoned one is looked at twice, so that more go than come.
_AT_ONCE = 4


@dataclass
class _Entry:
    kind: Kind
    keys: list[ObjectKey]
    #: When it was submitted, or found to have ended.
    since: float
    report: Report | None = None


class Asked:
    """Remembers the keys of each task until its result is taken.

    LMCache never asks for the result of a prefetch that was aborted. What has ended and was not asked for in
    `pin_ttl_seconds` is forgotten, with its pins, when others come. The time is counted from when it is seen to have
    ended: the result of a task that was slow is there for whoever waits for it.
    """

    def __init__(self, params: Mapping[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        # Checked already; LMCache's JSON has numbers as texts, too.
        ttl = float(params.get("pin_ttl_seconds", 600))
        self._seconds = ttl or _PINS_FOR_EVER
        self._unpins = ttl > 0
        self._clock = clock
        self._lock = threading.Lock()
        #: By the tasks' numbers, the oldest first.
        self._entries: dict[int, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, native: nixl_l2.Adapter, kind: Kind, task: int, keys: list[ObjectKey]) -> None:
        """Remembers a task that was just submitted, and forgets old ones."""
        now = self._clock()
        # Closed meanwhile, it has neither results nor pins.
        with suppress(nixl_l2.ClosedError):
            with self._lock:
                self._entries[task] = _Entry(kind, keys, now)
                forgotten = self._forget(native, now)
            for old, hits in forgotten:
                native.unlock_task(old, hits)

    def take(self, native: nixl_l2.Adapter, kind: Kind, task: int) -> tuple[list[ObjectKey], Report] | None:
        """A task's keys and its result, once, if it has ended.

        Raises:
            nixl_l2.ClosedError: the adapter is closed.
        """
        with self._lock:
            entry = self._entries.get(task)
            if entry is None or entry.kind != kind:
                return None
            report = entry.report or _take(native, kind, task)
            if report is None:
                return None
            del self._entries[task]
            return entry.keys, report

    def clear(self) -> None:
        """Forgets everything."""
        with self._lock:
            self._entries.clear()

    def _forget(self, native: nixl_l2.Adapter, now: float) -> list[tuple[int, list[ObjectKey]]]:
        """Forgets some of the oldest; returns the lookups among them that have pins to give back, with these."""
        pinned = []
        for _ in range(_AT_ONCE):
            task, entry = next(iter(self._entries.items()))
            if now - entry.since < self._seconds:
                break
            del self._entries[task]
            if entry.report is None:
                entry.report = _take(native, entry.kind, task)
                # To the end, also what is still under way, so that it keeps no other.
                entry.since = now
                self._entries[task] = entry
            elif entry.kind == "lookup" and self._unpins:
                hits = zip(entry.keys, entry.report.mask, strict=True)
                pinned.append((task, [key for key, hit in hits if hit]))
        return pinned


def _take(native: nixl_l2.Adapter, kind: Kind, task: int) -> Report | None:
    return native.take_lookup(task) if kind == "lookup" else native.take_load(task)
