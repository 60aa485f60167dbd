"""The two adapters: LMCache's interface, as thin as it can be, over ``nixl_l2.Adapter``.

Everything that takes time or decides something is below, in Rust. Here keys and buffers are handed over, reports become
LMCache's types, and LMCache's listeners are told. No method raises where LMCache's controllers would die of it: what
fails is a failed store, a missing bit, or a line in the log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, cast

from lmcache.lmcache_native import Bitmap
from lmcache.logging import init_logger
from lmcache.v1.distributed.api import EncodedObjectKey, KeyEntry, KeyListPage, ObjectKey
from lmcache.v1.distributed.eviction import L2EvictionPolicy
from lmcache.v1.distributed.internal_api import L2StoreResult
from lmcache.v1.distributed.l2_adapters.base import AdapterUsage, L2AdapterInterface

import nixl_l2

from ._asked import Asked, Kind
from ._config import NixlStoreDynamicL2AdapterConfig, NixlStoreL2AdapterConfig, _Config
from ._telling import Teller

if TYPE_CHECKING:
    from lmcache.v1.distributed.api import MemoryLayoutDesc
    from lmcache.v1.distributed.internal_api import L1MemoryDesc, L2AdapterListener
    from lmcache.v1.memory_management import MemoryObj

logger = init_logger(__name__)


class _Adapter(L2AdapterInterface):
    """What both have in common, which is all but their configuration."""

    config_class: ClassVar[type[_Config]]

    def __init__(self, config: _Config | Mapping[str, Any], l1_memory_desc: L1MemoryDesc | None = None) -> None:
        """Opens the adapter over LMCache's L1.

        Raises:
            ValueError: no L1 that is one region of memory, or a fault of the configuration.
            nixl_l2.NixlL2Error: NIXL or the storage cannot be used.
        """
        # Of another class's configuration its type says so.
        config = self.config_class.from_dict(config.params if isinstance(config, _Config) else dict(config))
        if l1_memory_desc is None:
            raise ValueError(f"{type(self).__name__} needs an L1 in main memory, and LMCache gave it none (GDS L1?)")
        self._config = config
        self._l1 = l1_memory_desc
        memory = nixl_l2.L1Memory.from_address(
            l1_memory_desc.ptr, l1_memory_desc.size, alignment=l1_memory_desc.align_bytes
        )
        # Uses are told with the keys that LMCache gave, from here.
        self._native = nixl_l2.Adapter(config.params, memory, key_type=ObjectKey, events=True, accesses=False)
        self._asked = Asked(config.params)
        super().__init__(max_capacity_bytes=self._native.capacity)
        self._fds = (self._native.store_fd, self._native.lookup_fd, self._native.load_fd)
        self._teller = Teller(self, self._native)

    def set_backend_identity(self, name: str, shared: bool = False) -> None:
        """Names the adapter in its events, which are told from then on."""
        super().set_backend_identity(name, shared)
        self._teller.begin()

    # Event descriptors

    def get_store_event_fd(self) -> int:
        return self._fds[0]

    def get_lookup_and_lock_event_fd(self) -> int:
        return self._fds[1]

    def get_load_event_fd(self) -> int:
        return self._fds[2]

    # Store

    def submit_store_task(self, keys: list[ObjectKey], objects: list[MemoryObj]) -> int:
        self._teller.begin()
        return self._native.submit_store(keys, *self._ranges(objects), strict=False)

    def pop_completed_store_tasks(self) -> dict[int, L2StoreResult]:
        try:
            reports = self._native.take_stores()
        except nixl_l2.ClosedError:
            return {}
        self._teller.tell()
        for task, report in reports.items():
            self._log_errors("store", task, report.errors)
        return {task: L2StoreResult(report.ok, report.bytes) for task, report in reports.items()}

    # Lookup

    def submit_lookup_and_lock_task(
        self, keys: list[ObjectKey], group_layout_descs: dict[int, MemoryLayoutDesc]
    ) -> int:
        self._teller.begin()
        native = self._native
        task = native.submit_lookup(keys)
        self._asked.add(native, "lookup", task, keys)
        return task

    def query_lookup_and_lock_result(self, task_id: int) -> Bitmap | None:
        return self._taken("lookup", task_id)

    def submit_unlock(self, keys: list[ObjectKey]) -> None:
        try:
            self._native.unlock(keys)
        except nixl_l2.NixlL2Error:
            # Nobody tries again; a pin that is left ends after pin_ttl_seconds.
            logger.exception("unlock of %d objects", len(keys))

    # Load

    def submit_load_task(self, keys: list[ObjectKey], objects: list[MemoryObj]) -> int:
        self._teller.begin()
        native = self._native
        task = native.submit_load(keys, *self._ranges(objects), strict=False)
        self._asked.add(native, "load", task, keys)
        return task

    def query_load_result(self, task_id: int) -> Bitmap | None:
        return self._taken("load", task_id)

    # Listeners

    def register_listener(self, listener: L2AdapterListener) -> None:
        """Adds a listener, and tells it what is stored already: found on the disk at the start, most likely.

        Raises:
            ValueError: it is LMCache's eviction, and nixl-l2's own is on.
        """
        if self._config.evicts and isinstance(listener, L2EvictionPolicy):
            raise ValueError(
                "eviction is configured twice: by LMCache ('eviction' beside 'adapter_params') and by nixl-l2 (inside"
                " it). Remove one of the two"
            )
        self._teller.add(listener)

    # Eviction

    @property
    def supports_global_eviction(self) -> bool:
        """Whether LMCache's controller may evict here: not where nixl-l2 does."""
        return super().supports_global_eviction and not self._config.evicts

    def delete(self, keys: list[ObjectKey]) -> None:
        """Deletes objects; those that are pinned stay. Ends when the storage has done it."""
        try:
            report = self._native.delete(keys)
        except nixl_l2.NixlL2Error:
            # LMCache has one thread that evicts for all adapters, and it ends with the first exception.
            logger.exception("delete of %d objects", len(keys))
            return
        self._log_errors("delete", None, report.errors)
        gone = {key for key, deleted in zip(keys, report.mask, strict=True) if deleted}
        left = {key for at, key in enumerate(keys) if report.busy[at] or at in report.errors}
        self._teller.deleted([key for key in dict.fromkeys(keys) if key not in gone and key not in left])
        # LMCache's LRU would offer the same keys the next time, and get no further: what is in use is not the oldest,
        # and what cannot be deleted comes again when all others have had their turn.
        self._teller.touch([key for key in keys if key in left])

    def list_l2_keys(
        self, model_name: str | None = None, page_size: int = 500, cursor: str | None = None
    ) -> KeyListPage:
        """What is stored, by pages.

        Raises:
            ValueError: `page_size` is not positive, or the cursor none of ours.
        """
        if page_size <= 0:
            raise ValueError(f"page_size is {page_size}, and has to be positive")
        found, following = self._native.list_keys(model_name=model_name, limit=page_size, cursor=cursor)
        return KeyListPage(tuple(KeyEntry(_encoded(key), size) for key, size in found), following)

    def get_usage(self) -> AdapterUsage:
        """Bytes in use as the index counts them: what an earlier run left and what is being stored included."""
        try:
            usage = self._native.usage()
        except nixl_l2.ClosedError:
            # LMCache's gauges outlive the adapters.
            return AdapterUsage(0, self._max_capacity_bytes)
        return AdapterUsage(usage.used, usage.capacity, MappingProxyType(dict(usage.by_salt)))

    # Status, and the end

    def report_status(self) -> dict[str, Any]:
        """LMCache's fields under LMCache's names, and nixl-l2's."""
        try:
            status = self._native.status()
        except nixl_l2.ClosedError:
            status = {"is_healthy": False, "closed": True}
        return {**status, "implementation": f"nixl-l2 {nixl_l2.__version__}", "own_eviction": self._config.evicts}

    def close(self) -> None:
        """Ends what is under way, closes the storage and the event descriptors; again, or in a fork, does nothing."""
        if self._teller.forked:
            return
        self._teller.close()
        # LMCache's gauges keep a manager and its adapters for ever, so that nothing may hang on this object.
        self._native = cast(nixl_l2.Adapter, _Closed())
        self._asked.clear()

    # Conversions

    def _ranges(self, objects: Sequence[MemoryObj]) -> tuple[list[int], list[int]]:
        """Where in L1 each object is. One of another region (a hybrid L1) is put out of bounds, which is an error of
        that object alone; its offset would mean other bytes here."""
        base, size = self._l1.ptr, self._l1.size
        offsets = [object.meta.address if object.data_ptr == base + object.meta.address else size for object in objects]
        return offsets, [object.meta.phy_size for object in objects]

    def _taken(self, kind: Kind, task: int) -> Bitmap | None:
        """A result as LMCache's bitmap, once the listeners know. Hits are a run from the start, nearly always."""
        try:
            taken = self._asked.take(self._native, kind, task)
        except nixl_l2.ClosedError:
            return None
        if taken is None:
            return None
        keys, report = taken
        # What a lookup could not find out is a miss.
        if kind == "load":
            self._log_errors(kind, task, report.errors)
        mask = report.mask
        miss = mask.find(0)
        run = len(mask) if miss < 0 else miss
        hits = [at for at in range(run, len(mask)) if mask[at]]
        self._teller.tell()
        self._teller.accessed(keys[:run] + [keys[at] for at in hits])
        bitmap = Bitmap(len(mask), run)
        if hits:
            bitmap.batched_set(hits)
        return bitmap

    def _log_errors(self, what: str, task: int | None, errors: Mapping[int, str]) -> None:
        if errors:
            first = next(iter(errors.values()))
            name = what if task is None else f"{what} {task}"
            logger.warning("%s: %d objects failed, the first: %s", name, len(errors), first)


class NixlStoreL2Adapter(_Adapter):
    """In place of LMCache's ``nixl_store``: a fixed pool of files, or of objects of an object store."""

    config_class = NixlStoreL2AdapterConfig


class NixlStoreDynamicL2Adapter(_Adapter):
    """In place of LMCache's ``nixl_store_dynamic``: a file for each object, named and filled as LMCache's are."""

    config_class = NixlStoreDynamicL2AdapterConfig


class _Closed:
    """In place of an adapter that was closed."""

    def __getattr__(self, name: str) -> Any:
        raise nixl_l2.ClosedError("the adapter is closed")


def _encoded(key: ObjectKey | nixl_l2.ObjectKey) -> EncodedObjectKey:
    return EncodedObjectKey(
        chunk_hash_hex=key.chunk_hash.hex(),
        model_name=key.model_name,
        kv_rank=key.kv_rank,
        object_group_id=key.object_group_id,
        cache_salt=key.cache_salt,
    )
