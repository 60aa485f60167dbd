"""LMCache's NIXL adapters and ours, side by side through LMCache's own interface: submit, wait for the event, take.

Each round does the same with both, one after the other, the one that comes first changing from round to round; what is
told is the median of the rounds, and the median of the rounds' ratios. `cargo xtask lmcache --bench` runs this.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("LMCACHE_LOG_LEVEL", "ERROR")
logging.disable(logging.INFO)
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "lmcache_plugin"))

from host import L1, PAGE, Host, content, key, params  # noqa: E402 (LMCache's log is set before it is imported)

KIB, MIB = 1 << 10, 1 << 20
L1_BYTES = 256 * MIB
#: An object's bytes, and how many are in a batch.
SIZES = [(16 * KIB, 256), (MIB, 64), (32 * MIB, 4)]
#: A lookup asks for so many keys, each object's again and again where there are fewer.
ASKED = 256
SINGLE_LOADS = 9
#: What is measured, its unit, and whether more is better.
MEASURED = {
    "store": ("MB/s", True),
    "load": ("MB/s", True),
    "lookup": ("keys/s", True),
    "one load": ("µs", False),
}


def theirs(kind: str, l1: L1, directory: Path, direct: str) -> Host:
    """LMCache's adapter."""
    if kind == "dynamic":
        from lmcache.v1.distributed.l2_adapters import nixl_store_dynamic_l2_adapter as module

        name, config = module.DynamicNixlStoreL2Adapter, module.DynamicNixlStoreL2AdapterConfig
    else:
        from lmcache.v1.distributed.l2_adapters import nixl_store_l2_adapter as module

        name, config = module.NixlStoreL2Adapter, module.NixlStoreL2AdapterConfig
    return Host(name(config.from_dict(settings(kind, directory, direct)), l1.desc), l1)


def ours(kind: str, l1: L1, directory: Path, direct: str) -> Host:
    """nixl-l2's."""
    from nixl_l2 import lmcache as module

    name = {"dynamic": "NixlStoreDynamicL2Adapter", "static": "NixlStoreL2Adapter"}[kind]
    config = getattr(module, f"{name}Config").from_dict(settings(kind, directory, direct))
    return Host(getattr(module, name)(config, l1_memory_desc=l1.desc), l1)


def settings(kind: str, directory: Path, direct: str) -> dict[str, Any]:
    """The same JSON for both."""
    changes = {"pool_size": 8, "file_size": str(32 * MIB)} if kind == "static" else {}
    whole = params("Dynamic" if kind == "dynamic" else "", directory, **changes)
    whole["backend_params"]["use_direct_io"] = direct
    return whole


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def measure(host: Host, size: int, count: int, number: int) -> dict[str, float]:
    """One round of one adapter."""
    batch = [key(i, model_name=f"round-{number}") for i in range(count)]
    chunks = host.l1.chunks(count, size)
    took: dict[str, float] = {}

    seconds, written = timed(lambda: host.store(batch, chunks))
    assert written == size * count, written
    took["store"] = size * count / seconds / 1e6

    asked = (batch * (ASKED // count + 1))[:ASKED]
    seconds, hits = timed(lambda: host.lookup(asked))
    assert all(hits)
    took["lookup"] = len(asked) / seconds
    host.adapter.submit_unlock(asked)

    into = host.l1.chunks(count, size, start=L1_BYTES // 2)
    seconds, loaded = timed(lambda: host.load(batch, into))
    assert all(loaded)
    took["load"] = size * count / seconds / 1e6
    for i, (chunk, buffer) in enumerate(zip(chunks, into, strict=True)):
        if i % 16 == 0:
            assert host.l1.read(chunk) == host.l1.read(buffer), f"object {i} came back with other bytes"

    one = [timed(lambda i=i: host.load([batch[i % count]], into[:1]))[0] for i in range(SINGLE_LOADS)]
    took["one load"] = statistics.median(one) * 1e6
    host.adapter.delete(batch)
    return took


def compare(kind: str, size: int, count: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All rounds of both at one size."""
    l1 = L1(L1_BYTES)
    for i, chunk in enumerate(l1.chunks(count, size)):
        l1.write(chunk, content(i + 1, size))
    directory = Path(tempfile.mkdtemp(prefix="against-lmcache-", dir=options.directory))
    try:
        pair = [opener(kind, l1, directory / opener.__name__, options.direct) for opener in (theirs, ours)]
        rounds: list[list[dict[str, float]]] = []
        # The first round warms up, and does not count.
        for number in range(options.rounds + 1):
            order = (0, 1) if number % 2 else (1, 0)
            took = {which: measure(pair[which], size, count, number) for which in order}
            rounds.append([took[0], took[1]])
        for host in pair:
            host.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return [summary(kind, size, what, rounds[1:]) for what in MEASURED]


def summary(kind: str, size: int, what: str, rounds: list[list[dict[str, float]]]) -> dict[str, Any]:
    """Medians of one measure; the ratio is above 1 where ours is better."""
    unit, more = MEASURED[what]
    ratios = [b[what] / a[what] if more else a[what] / b[what] for a, b in rounds]
    return {
        "adapter": kind,
        "bytes": size,
        "measure": what,
        "unit": unit,
        "lmcache": statistics.median(a[what] for a, _ in rounds),
        "nixl_l2": statistics.median(b[what] for _, b in rounds),
        "ratio": statistics.median(ratios),
        "lowest_ratio": min(ratios),
        "highest_ratio": max(ratios),
    }


def handing_over(l1: L1, directory: Path) -> dict[str, float]:
    """Microseconds for each of 10000 keys that a batch costs LMCache's thread: to submit and take, without the wait."""
    host, keys, chunks = ours("static", l1, directory, "false"), [key(i) for i in range(10_000)], l1.chunks(10_000)
    adapter = host.adapter
    assert host.store(keys, chunks) == 10_000 * PAGE
    kinds: dict[str, tuple[int, Callable[[], int], Callable[[int], Any]]] = {
        "store": (
            adapter.get_store_event_fd(),
            lambda: adapter.submit_store_task(keys, chunks),
            lambda task: adapter.pop_completed_store_tasks(),
        ),
        "lookup": (
            adapter.get_lookup_and_lock_event_fd(),
            lambda: adapter.submit_lookup_and_lock_task(keys, {}),
            adapter.query_lookup_and_lock_result,
        ),
        "load": (
            adapter.get_load_event_fd(),
            lambda: adapter.submit_load_task(keys, chunks),
            adapter.query_load_result,
        ),
    }
    costs = {}
    for kind, (fd, submit, take) in kinds.items():
        os.set_blocking(fd, True)
        rounds = []
        for _ in range(11):
            start, task = timed(submit)
            os.read(fd, 8)
            end, result = timed(lambda take=take, task=task: take(task))
            assert result
            rounds.append((start + end) * 1e6 / len(keys))
        costs[kind] = statistics.median(rounds)
    host.close()
    return costs


def shown(size: int) -> str:
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"


def main() -> None:
    parser = argparse.ArgumentParser(prog="cargo xtask lmcache --bench --", description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="how often each pair is measured (25)")
    parser.add_argument("--directory", type=Path, help="where the files go (the directory for temporary files)")
    parser.add_argument("--direct", action="store_const", const="true", default="false", help="with direct I/O")
    parser.add_argument("--json", type=Path, help="write all figures there, too")
    options = parser.parse_args()
    print("| adapter | object | measure | LMCache | nixl-l2 | ratio (lowest to highest) |", flush=True)
    print("|---|---|---|---:|---:|---|")
    rows = []
    for kind in ("dynamic", "static"):
        for size, count in SIZES:
            for row in compare(kind, size, count, options):
                rows.append(row)
                figures = f"{row['lmcache']:,.0f} {row['unit']} | {row['nixl_l2']:,.0f} {row['unit']}"
                spread = f"{row['ratio']:.2f} ({row['lowest_ratio']:.2f} to {row['highest_ratio']:.2f})"
                print(f"| {kind} | {shown(size)} | {row['measure']} | {figures} | {spread} |", flush=True)
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        costs = handing_over(L1(64 * MIB), Path(directory))
    told = ", ".join(f"{kind} {cost:.2f} µs" for kind, cost in costs.items())
    print(f"\nWhat each key of a batch of 10000 costs LMCache's thread, to submit and to take: {told}.")
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "handing_over_us_per_key": costs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
