"""What controllers and adapters say to each other."""

from dataclasses import dataclass


@dataclass(frozen=True)
class L1MemoryDesc:
    ptr: int
    size: int
    align_bytes: int


class L2StoreResult(int):
    """Bytes that were written, or -1 for a failure."""

    def __new__(cls, success: bool, bytes_transferred: int) -> "L2StoreResult":
        return super().__new__(cls, bytes_transferred if success else -1)

    def is_successful(self) -> bool:
        return self >= 0

    def bytes_transferred(self) -> int:
        return max(int(self), 0)


class L2AdapterListener:
    def on_l2_keys_stored(self, keys: list, sizes: list[int]) -> None:
        raise NotImplementedError

    def on_l2_keys_accessed(self, keys: list) -> None:
        raise NotImplementedError

    def on_l2_keys_deleted(self, keys: list) -> None:
        raise NotImplementedError
