"""What an engine does with LMCache's StorageManager: chunks in, chunks out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from host import LIMIT, Recorder
from lmcache.v1.distributed.api import GroupedObjectKeys, MemoryLayoutDesc, ObjectKey, PrefetchTaskSpec
from lmcache.v1.distributed.storage_manager import StorageManager

CHUNK = 1 << 20
BYTES = MemoryLayoutDesc([torch.Size([CHUNK])], [torch.uint8])
#: As an engine has it: K and V, layers, tokens, hidden dimension.
KV = MemoryLayoutDesc([torch.Size([2, 4, 64, 1024])], [torch.bfloat16])


class Server:
    """A StorageManager with one adapter."""

    def __init__(self, manager: StorageManager, layout: MemoryLayoutDesc = BYTES) -> None:
        self.manager = manager
        self.layout = layout
        ((_, self.adapter),) = manager.l2_adapters()
        self.recorder = Recorder()
        manager.register_l2_listener(self.recorder)
        self._closed = False

    def store(self, keys: list[ObjectKey]) -> None:
        """Writes a chunk for each key into L1, and waits until LMCache has stored them in L2."""
        self.write(keys)
        settle(lambda: set(keys) <= set(self.recorder.of("stored")))

    def write(self, keys: list[ObjectKey]) -> None:
        """Writes a chunk for each key, of values that its hash says, into L1; LMCache stores them in L2 by itself."""
        buffers = self.manager.reserve_write(keys, self.layout)
        assert list(buffers) == keys
        for key, buffer in buffers.items():
            buffer.tensor.copy_(self.expected(key))
        self.manager.finish_write(keys)

    def prefetch(self, keys: list[ObjectKey]) -> tuple[int, int]:
        """How many of the keys came from L1 and from L2; those that came have the right bytes."""
        row = GroupedObjectKeys(keys, keys[0].object_group_id, self.layout)
        handle = self.manager.submit_prefetch_task(PrefetchTaskSpec([row]))
        assert self.manager.wait_prefetch_status(handle, LIMIT)
        result = self.manager.query_prefetch_status(handle)
        hits = [key for i, key in enumerate(keys) if result.hit_cells[0].test(i)]
        if hits:
            with self.manager.read_prefetched_results(hits) as buffers:
                for key, buffer in zip(hits, buffers, strict=True):
                    assert torch.equal(buffer.tensor, self.expected(key)), key
            self.manager.finish_read_prefetched(hits)
        return result.l1_hit_count, result.l2_hit_count

    def expected(self, key: ObjectKey) -> torch.Tensor:
        """The chunk that belongs to a key. 16-bit values are few, so that 8 bits can say them."""
        (shape,), (dtype,) = self.layout.shapes, self.layout.dtypes
        seed = int.from_bytes(key.chunk_hash[-4:], "big") + len(key.cache_salt) * 77
        values = (torch.arange(shape.numel()) + seed * 31) % (251 if dtype == torch.uint8 else 8)
        return values.to(dtype).reshape(shape)

    def forget(self, keys: list[ObjectKey]) -> None:
        """Takes them out of L1, once L2 has done with them."""
        settle(lambda: self.manager.delete_l1_keys(keys)[1] == 0)

    def stored(self) -> int:
        """How many objects can be looked up."""
        return self.adapter.report_status()["stored_object_count"]

    def used(self) -> int:
        """Bytes, those of objects that are just being stored included."""
        return self.adapter.get_usage().total_bytes_used

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self.manager.close()


def settle(done: Callable[[], Any]) -> None:
    """Waits until something has come about that LMCache's threads do."""
    end = time.monotonic() + LIMIT
    while not done():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
