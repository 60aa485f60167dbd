"""The bitmap in which lookups and loads are answered."""

from collections.abc import Iterable


class Bitmap:
    def __init__(self, size: int, prefix_bits: int = 0) -> None:
        self._bits = [position < prefix_bits for position in range(size)]

    def batched_set(self, indices: Iterable[int]) -> None:
        for index in indices:
            self._bits[index] = True

    def test(self, index: int) -> bool:
        return self._bits[index]

    def popcount(self) -> int:
        return sum(self._bits)

    def __len__(self) -> int:
        return len(self._bits)
