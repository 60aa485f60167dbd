"""What 10000 keys in one batch cost in Python and the binding: run it by hand with the Python of an environment with the release wheel.

    target/python/smoke/bin/python crates/l2-python/tests/bench_keys.py

A lookup is submitted and its result taken; all keys are there, for a miss asks the disk. With LMCache's keys (a frozen dataclass) and ours. It reports, and
fails for no time.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from helpers import HostKey

import nixl_l2

KEYS = 10_000
ROUNDS = 30


def best_and_middle(work, rounds: int = ROUNDS) -> tuple[float, float]:
    """Microseconds a key: of the quickest round, and of the one in the middle."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) / KEYS * 1e6)
    times.sort()
    return times[0], times[len(times) // 2]


def main() -> None:
    memory = nixl_l2.L1Memory.allocate(1 << 20)
    hashes = [number.to_bytes(32, "big") for number in range(KEYS)]
    model = "meta-llama/Llama-3.1-8B-Instruct"
    with tempfile.TemporaryDirectory() as directory:
        config = {
            "type": "nixl_store_dynamic",
            "backend": "POSIX",
            "backend_params": {"file_path": directory, "use_direct_io": "false", "max_capacity_gb": "1"},
        }
        for events in (False, True):
            cache = Path(directory) / str(events)
            config["backend_params"]["file_path"] = str(cache)
            with nixl_l2.Adapter(config, memory, events=events, key_type=HostKey) as adapter:
                ours = [nixl_l2.ObjectKey(model, 0x08000800, 0, "", chunk) for chunk in hashes]
                hosts = [HostKey(chunk, model, 0x08000800) for chunk in hashes]
                stored = adapter.wait_store(adapter.submit_store(ours, [0] * KEYS, [512] * KEYS), 120)
                assert stored.ok, stored
                adapter.take_events() if events else None
                for name, keys in (("ours", ours), ("the host's", hosts)):
                    def look_up(keys=keys) -> None:
                        task = adapter.submit_lookup(keys)
                        report = adapter.take_lookup(task) or adapter.wait_lookup(task, 60)
                        assert report.prefix_hits == KEYS

                    def unlock(keys=keys) -> None:
                        adapter.unlock(keys)

                    best, middle = best_and_middle(look_up)
                    print(f"lookup, {name} keys, events {events!s:5}: best {best:.2f}, median {middle:.2f} us a key")
                    best, middle = best_and_middle(unlock)
                    print(f"unlock, {name} keys, events {events!s:5}: best {best:.2f}, median {middle:.2f} us a key")
                    if events:
                        start = time.perf_counter()
                        count = sum(len(told) for _, told, _ in adapter.take_events())
                        each = (time.perf_counter() - start) / count * 1e6
                        print(f"take_events: {each:.2f} us a key")
    print(f"Python {sys.version.split()[0]}, {KEYS} keys a batch, nixl_l2 {nixl_l2.__version__}")


main()
