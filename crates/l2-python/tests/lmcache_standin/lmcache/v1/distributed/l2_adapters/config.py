"""What every configuration of an adapter is derived from."""

from abc import ABC, abstractmethod


class L2AdapterConfigBase(ABC):
    @classmethod
    @abstractmethod
    def from_dict(cls, d: dict) -> "L2AdapterConfigBase": ...

    @classmethod
    @abstractmethod
    def help(cls) -> str: ...
