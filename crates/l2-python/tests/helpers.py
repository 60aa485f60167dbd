"""What the tests share: configurations, keys, an adapter with its memory, and children that are run as programs of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nixl_l2

#: Bytes of an object, and of L1's page: what both adapters take, also with direct I/O.
OBJECT = 4096
#: Objects that fit into the memory.
SLOTS = 64
#: Seconds; no test passes by waiting so long.
LIMIT = 60.0


@dataclass(frozen=True)
class HostKey:
    """A key of a host, as LMCache's own: the five attributes, and nothing of ours."""

    chunk_hash: bytes
    model_name: str
    kv_rank: int
    object_group_id: int = 0
    cache_salt: str = ""


def host_key(number: int, model: str = "org/model", salt: str = "") -> HostKey:
    return HostKey(number.to_bytes(32, "big"), model, 7, 0, salt)


def key(number: int, model: str = "org/model", salt: str = "") -> nixl_l2.ObjectKey:
    return nixl_l2.ObjectKey(model, 7, 0, salt, number.to_bytes(32, "big"))


def content(number: int) -> bytes:
    return bytes((number + at) % 251 for at in range(256)) * (OBJECT // 256)


def config_of(kind: str, directory: Path, **extra: Any) -> dict[str, Any]:
    params = {"file_path": str(directory), "use_direct_io": "false"}
    config: dict[str, Any] = {"type": kind, "backend": "POSIX", "backend_params": params, "workers": 2}
    if kind == "nixl_store":
        config["pool_size"] = SLOTS
        # Else a slot has what L1's memory is aligned to.
        params["file_size"] = str(OBJECT)
    else:
        params["max_capacity_gb"] = "1"
    return config | extra


@dataclass
class Open:
    """An open adapter over memory of SLOTS objects."""

    config: dict[str, Any]
    adapter: nixl_l2.Adapter
    memory: nixl_l2.L1Memory
    view: memoryview = field(init=False)

    def __post_init__(self) -> None:
        self.view = self.memory.view()

    def fill(self, numbers: list[int]) -> tuple[list[int], list[int]]:
        """Writes the content of each into the slot of its place; their offsets and lengths."""
        for at, number in enumerate(numbers):
            self.view[at * OBJECT : (at + 1) * OBJECT] = content(number)
        return self.places(len(numbers))

    def places(self, count: int, first: int = 0) -> tuple[list[int], list[int]]:
        return [(first + at) * OBJECT for at in range(count)], [OBJECT] * count

    def slot(self, at: int) -> bytes:
        return bytes(self.view[at * OBJECT : (at + 1) * OBJECT])

    def store(self, numbers: list[int], make: Callable[[int], Any] = key) -> nixl_l2.StoreReport:
        offsets, lengths = self.fill(numbers)
        task = self.adapter.submit_store([make(number) for number in numbers], offsets, lengths)
        return self.adapter.wait_store(task, LIMIT)

    def look_up(self, keys: list[Any]) -> nixl_l2.LookupReport:
        return self.adapter.wait_lookup(self.adapter.submit_lookup(keys), LIMIT)

    def load(self, keys: list[Any], first: int = 0) -> nixl_l2.LoadReport:
        offsets, lengths = self.places(len(keys), first)
        return self.adapter.wait_load(self.adapter.submit_load(keys, offsets, lengths), LIMIT)


#: What each program of a test begins with.
_PROGRAM = """
import gc, os, sys, threading, time
sys.path.insert(0, {tests!r})
import nixl_l2
from helpers import *
from pathlib import Path
directory = Path(sys.argv[1])
"""


def program(source: str, directory: Path, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs Python with this source, to which `directory` is known; anything but success is a failure with what it said."""
    text = _PROGRAM.format(tests=str(Path(__file__).parent)) + source
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", text, str(directory)],
        capture_output=True,
        text=True,
        timeout=LIMIT * 2,
    )
    if check:
        assert done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
