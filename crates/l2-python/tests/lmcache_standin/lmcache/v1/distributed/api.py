"""Keys, and what is said about them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ObjectKey:
    chunk_hash: bytes
    model_name: str
    kv_rank: int
    object_group_id: int = 0
    cache_salt: str = ""

    def __post_init__(self) -> None:
        """What LMCache refuses."""
        if "@" in self.model_name:
            raise ValueError(f"model_name {self.model_name!r}")
        if self.object_group_id < 0:
            raise ValueError(f"object_group_id {self.object_group_id}")
        if set(self.cache_salt) & set("@/\\\0") or len(self.cache_salt) > 128:
            raise ValueError(f"cache_salt {self.cache_salt!r}")


@dataclass(frozen=True)
class EncodedObjectKey:
    chunk_hash_hex: str
    model_name: str
    kv_rank: int
    object_group_id: int = 0
    cache_salt: str = ""

    def to_object_key(self) -> ObjectKey:
        chunk_hash = bytes.fromhex(self.chunk_hash_hex)
        return ObjectKey(chunk_hash, self.model_name, self.kv_rank, self.object_group_id, self.cache_salt)


@dataclass(frozen=True)
class KeyEntry:
    key: EncodedObjectKey
    size_bytes: int


@dataclass(frozen=True)
class KeyListPage:
    entries: tuple[KeyEntry, ...]
    next_page_token: str | None
