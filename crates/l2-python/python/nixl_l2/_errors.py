"""The exceptions of nixl_l2."""

from __future__ import annotations


class NixlL2Error(Exception):
    """What every exception of this package is."""


class ConfigError(NixlL2Error, ValueError):
    """The configuration is wrong. ``faults`` has one line for each fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = list(faults)

    def __reduce__(self) -> tuple[type[ConfigError], tuple[list[str]]]:
        return type(self), (self.faults,)


class InvalidKeyError(NixlL2Error, ValueError):
    """A part of a key is one that no key can have."""


class MemoryRangeError(NixlL2Error, ValueError):
    """A range is not in the memory, or overlaps another of its batch; or memory cannot be used as it is."""


class ClosedError(NixlL2Error, ValueError):
    """The adapter is closed."""


class ForkedError(NixlL2Error, RuntimeError):
    """The adapter belongs to the process that this one was forked from."""


class NixlMissingError(NixlL2Error, ImportError):
    """NIXL's library is not installed, or cannot be used."""


class StorageError(NixlL2Error, OSError):
    """The storage, or NIXL, failed. ``kind`` is a short stable name for what to do, such as "io" or "unsupported"."""

    def __init__(self, message: str, kind: str = "io") -> None:
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type[StorageError], tuple[str, str]]:
        return type(self), (str(self), self.kind)


class TaskTimeoutError(NixlL2Error, TimeoutError):
    """A task was not done in time. It goes on, and can be waited for again."""


class UnknownTaskError(NixlL2Error, LookupError):
    """No task of this kind has this number, or its result was taken."""
