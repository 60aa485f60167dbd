"""What LMCache does with an adapter: an L1, keys, tasks that are waited for by their event descriptors."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lmcache.v1.distributed.api import ObjectKey
from lmcache.v1.distributed.internal_api import L1MemoryDesc, L2AdapterListener

import nixl_l2

PAGE = 4096
#: How long anything may take, in seconds.
LIMIT = 60.0


def params(name: str, directory: Path, **changes: Any) -> dict[str, Any]:
    """`adapter_params` for a class on a directory; `changes` go where their key belongs."""
    dynamic = "Dynamic" in name
    below = {"file_path": str(directory / "cache"), "use_direct_io": "false"}
    below |= {"max_capacity_gb": "1"} if dynamic else {"file_size": str(1 << 20)}
    whole: dict[str, Any] = {"backend": "POSIX"} if dynamic else {"backend": "POSIX", "pool_size": 16}
    for key, value in changes.items():
        belongs = below if key in {"file_path", "max_capacity_gb", "shard_dirs", "file_size"} else whole
        belongs[key] = value
    return {**whole, "backend_params": below}


def key(number: int, **changes: Any) -> ObjectKey:
    """The key of a chunk."""
    fields = {"model_name": "meta-llama/Llama-3.1-8B", "kv_rank": 0x01000100, "object_group_id": 0, "cache_salt": ""}
    return ObjectKey(chunk_hash=number.to_bytes(32, "big"), **{**fields, **changes})


def keys(count: int, **changes: Any) -> list[ObjectKey]:
    """The keys of a prompt."""
    return [key(number, **changes) for number in range(count)]


@dataclass
class Chunk:
    """A buffer in L1, with the attributes of LMCache's memory objects that adapters read."""

    meta: SimpleNamespace
    data_ptr: int


class L1:
    """The memory of a server: one region."""

    def __init__(self, size: int) -> None:
        self.memory = nixl_l2.L1Memory.allocate(size)
        self.view = self.memory.view()
        self.desc = L1MemoryDesc(ptr=self.memory.address, size=size, align_bytes=PAGE)

    def chunk(self, offset: int, size: int = PAGE) -> Chunk:
        meta = SimpleNamespace(address=offset, phy_size=size, shape=(size,), dtype=None)
        return Chunk(meta, self.memory.address + offset)

    def chunks(self, count: int, size: int = PAGE, start: int = 0) -> list[Chunk]:
        return [self.chunk(start + i * size, size) for i in range(count)]

    def write(self, chunk: Chunk, data: bytes) -> None:
        start = chunk.meta.address
        self.view[start : start + chunk.meta.phy_size] = data

    def read(self, chunk: Chunk) -> bytes:
        start = chunk.meta.address
        return bytes(self.view[start : start + chunk.meta.phy_size])


def content(number: int, size: int = PAGE) -> bytes:
    """Bytes that differ from chunk to chunk and from page to page."""
    block = b"".join((number * 1_000_003 + i).to_bytes(8, "little") for i in range(min(size, PAGE) // 8))
    return b"".join(page.to_bytes(8, "little") + block[8:] for page in range(size // len(block)))


@dataclass
class Host:
    """One adapter, ours or LMCache's, and what LMCache's controllers do with it."""

    adapter: Any
    l1: L1
    closed: bool = False

    def close(self) -> None:
        """Closes it, once: LMCache's own cannot be closed again."""
        if not self.closed:
            self.closed = True
            self.adapter.close()

    def store(self, keys: list[ObjectKey], chunks: list[Chunk]) -> int:
        """Bytes that were written, or -1."""
        task = self.adapter.submit_store_task(keys, chunks)
        done = wait(self.adapter.get_store_event_fd(), lambda: self.adapter.pop_completed_store_tasks())
        assert list(done) == [task]
        return done[task]

    def lookup(self, keys: list[ObjectKey]) -> list[bool]:
        task = self.adapter.submit_lookup_and_lock_task(keys, {})
        fd = self.adapter.get_lookup_and_lock_event_fd()
        return bits(wait(fd, lambda: self.adapter.query_lookup_and_lock_result(task)))

    def load(self, keys: list[ObjectKey], chunks: list[Chunk]) -> list[bool]:
        task = self.adapter.submit_load_task(keys, chunks)
        return bits(wait(self.adapter.get_load_event_fd(), lambda: self.adapter.query_load_result(task)))

    def fill(self, keys: list[ObjectKey], size: int = PAGE) -> int:
        """Stores `content(i)` under the i-th key."""
        chunks = self.l1.chunks(len(keys), size)
        for number, chunk in enumerate(chunks):
            self.l1.write(chunk, content(number, size))
        return self.store(keys, chunks)

    def holds(self, keys: list[ObjectKey], size: int = PAGE) -> list[bool]:
        """Whether the i-th key is found and loads as `content(i)`; gives the pins back."""
        found = self.lookup(keys)
        chunks = self.l1.chunks(len(keys), size)
        for chunk in chunks:
            self.l1.write(chunk, bytes(size))
        loaded = self.load(keys, chunks)
        self.adapter.submit_unlock([key for key, hit in zip(keys, found, strict=True) if hit])
        same = [self.l1.read(chunk) == content(number, size) for number, chunk in enumerate(chunks)]
        return [all(each) for each in zip(found, loaded, same, strict=True)]


class Recorder(L2AdapterListener):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[ObjectKey], list[int]]] = []

    def on_l2_keys_stored(self, keys: list[ObjectKey], sizes: list[int]) -> None:
        self.told.append(("stored", list(keys), list(sizes)))

    def on_l2_keys_accessed(self, keys: list[ObjectKey]) -> None:
        self.told.append(("accessed", list(keys), []))

    def on_l2_keys_deleted(self, keys: list[ObjectKey]) -> None:
        self.told.append(("deleted", list(keys), []))

    def of(self, kind: str) -> list[ObjectKey]:
        return [key for told, keys, _ in self.told if told == kind for key in keys]


def wait(fd: int, take: Callable[[], Any]) -> Any:
    """Waits for an event, and takes the result, which has to be there by then."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert poll.poll(LIMIT * 1000), "no event came"
    os.read(fd, 8)
    result = take()
    assert result is not None and result != {}, "the event came before the result"
    return result


def bits(bitmap: Any) -> list[bool]:
    return [bitmap.test(i) for i in range(len(bitmap))]
