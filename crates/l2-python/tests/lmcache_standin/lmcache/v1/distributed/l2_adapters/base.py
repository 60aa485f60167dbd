"""The interface of an adapter, with the bookkeeping that LMCache's base class does for those derived from it."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class AdapterUsage:
    total_bytes_used: int
    total_capacity_bytes: int
    bytes_by_cache_salt: Mapping[str, int] = field(default_factory=dict)

    @property
    def usage_fraction(self) -> float:
        known = self.total_capacity_bytes > 0
        return self.total_bytes_used / self.total_capacity_bytes if known else -1.0


class L2AdapterInterface(ABC):
    def __init__(self, max_capacity_bytes: int = 0) -> None:
        self._max_capacity_bytes = max_capacity_bytes
        self._listeners: list = []
        self._bytes_by_cache_salt: Counter = Counter()
        self._backend_name = ""
        self._shared = False

    def set_backend_identity(self, name: str, shared: bool = False) -> None:
        self._backend_name, self._shared = name, shared

    @abstractmethod
    def get_store_event_fd(self) -> int: ...

    @abstractmethod
    def get_lookup_and_lock_event_fd(self) -> int: ...

    @abstractmethod
    def get_load_event_fd(self) -> int: ...

    @abstractmethod
    def submit_store_task(self, keys: list, objects: list) -> int: ...

    @abstractmethod
    def pop_completed_store_tasks(self) -> dict: ...

    @abstractmethod
    def submit_lookup_and_lock_task(self, keys: list, group_layout_descs: dict) -> int: ...

    @abstractmethod
    def query_lookup_and_lock_result(self, task_id: int): ...

    @abstractmethod
    def submit_unlock(self, keys: list) -> None: ...

    @abstractmethod
    def submit_load_task(self, keys: list, objects: list) -> int: ...

    @abstractmethod
    def query_load_result(self, task_id: int): ...

    @abstractmethod
    def close(self) -> None: ...

    @property
    def supports_global_eviction(self) -> bool:
        return self._max_capacity_bytes > 0

    def register_listener(self, listener) -> None:
        self._listeners.append(listener)

    def _notify_keys_stored(self, keys: list, sizes: list[int]) -> None:
        for key, size in zip(keys, sizes, strict=True):
            self._bytes_by_cache_salt[key.cache_salt] += size
        for listener in self._listeners:
            listener.on_l2_keys_stored(keys, sizes)

    def _notify_keys_accessed(self, keys: list) -> None:
        for listener in self._listeners:
            listener.on_l2_keys_accessed(keys)

    def _notify_keys_deleted(self, keys: list, sizes: list[int]) -> None:
        for key, size in zip(keys, sizes, strict=True):
            self._bytes_by_cache_salt[key.cache_salt] -= size
        for listener in self._listeners:
            listener.on_l2_keys_deleted(keys)
