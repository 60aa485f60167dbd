"""LMCache's StorageManager on our adapters: it stores, evicts, prefetches, starts again and shuts down."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from host import keys
from lmcache.v1.distributed.l2_adapters.base import L2AdapterInterface
from server import CHUNK, KV, settle

NAMES = ["NixlStoreDynamicL2Adapter", "NixlStoreL2Adapter"]
DYNAMIC, STATIC = NAMES
LRU = {"eviction_policy": "LRU", "trigger_watermark": 0.75, "eviction_ratio": 0.25}


def small(name: str, chunks: int) -> dict:
    """A capacity of so many chunks."""
    if name == DYNAMIC:
        return {"max_capacity_gb": str(chunks * CHUNK / (1 << 30))}
    return {"pool_size": chunks}


def open_files() -> Counter[str]:
    """What this process has open, by kind."""
    links = [os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if exists(name)]
    return Counter(link.split(":")[0] if ":" in link else "file" for link in links)


def exists(name: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{name}")


def threads() -> list[str]:
    """The names of this process's threads that are ours."""
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    return sorted(name for name in names if name.startswith("nixl-l2"))


@pytest.mark.parametrize("name", NAMES)
def test_it_stores_and_prefetches(open_server, name: str):
    server = open_server(name)
    prompt = keys(12, cache_salt="alice")
    server.store(prompt)
    assert server.prefetch(prompt) == (12, 0)
    server.forget(prompt)
    assert server.prefetch(prompt) == (0, 12)
    assert isinstance(server.adapter, L2AdapterInterface)
    status = server.manager.report_status()
    assert status["is_healthy"]
    assert status["l2_adapters"][0]["stored_object_count"] == 12
    assert server.manager.get_usage_bytes_by_cache_salt() == {"alice": 12 * CHUNK}


@pytest.mark.parametrize("name", NAMES)
def test_a_prefix_is_prefetched_as_far_as_it_goes(open_server, name: str):
    server = open_server(name)
    prompt = keys(8)
    server.store(prompt[:5])
    server.forget(prompt[:5])
    assert server.prefetch(prompt) == (0, 5)


@pytest.mark.parametrize("name", NAMES)
def test_its_eviction_controller_evicts_the_oldest(open_server, name: str):
    server = open_server(name, evicts=LRU, **small(name, 16))
    old, new = keys(8, cache_salt="old"), keys(8, cache_salt="new")
    server.store(old)
    # Nothing is evicted below the watermark: everything that was stored comes back.
    server.forget(old)
    assert server.prefetch(old) == (0, 8)
    server.store(new)
    settle(lambda: server.used() < 12 * CHUNK)
    server.forget(old + new)
    assert server.prefetch(new) == (0, 8)
    # Of one batch the last goes first, so that what is left is the beginning of a prompt.
    left = server.used() // CHUNK - 8
    assert 0 < left < 8
    assert server.prefetch(old) == (0, left)
    assert server.manager.report_status()["l2_eviction_controller"]["is_healthy"]


@pytest.mark.parametrize("name", NAMES)
def test_its_controller_gets_past_what_is_pinned(open_server, name: str):
    server = open_server(name, evicts=LRU, **small(name, 16))
    pinned = keys(4, cache_salt="pinned")
    server.store(pinned)
    # A client that looked up and died: its pins are the oldest objects, and more than one pass takes.
    server.adapter.submit_lookup_and_lock_task(pinned, {})
    settle(lambda: server.adapter.report_status()["pinned_object_count"] == 4)
    server.store(keys(9, cache_salt="more"))
    settle(lambda: server.used() < 12 * CHUNK)
    assert server.manager.get_usage_bytes_by_cache_salt()["pinned"] == 4 * CHUNK


def test_its_controller_gets_past_what_cannot_be_deleted(
    open_server, tmp_path: Path, immutable: Callable[[Path], None]
):
    server = open_server(DYNAMIC, evicts=LRU, **small(DYNAMIC, 16))
    stuck = keys(4, cache_salt="stuck")
    server.store(stuck)
    # The oldest objects, and more than one pass takes.
    for path in (tmp_path / "cache").glob("*@stuck.bin"):
        immutable(path)
    server.store(keys(9, cache_salt="more"))
    settle(lambda: server.used() < 12 * CHUNK)
    assert server.manager.get_usage_bytes_by_cache_salt()["stuck"] == 4 * CHUNK
    assert server.manager.report_status()["l2_eviction_controller"]["is_healthy"]


def test_its_controller_evicts_what_an_earlier_run_left(open_server):
    server = open_server(DYNAMIC)
    prompt = keys(14)
    server.store(prompt)
    server.close()
    server = open_server(DYNAMIC, evicts=LRU, **small(DYNAMIC, 16))
    # One pass takes a quarter of what it has been told of, which is all.
    settle(lambda: not server.adapter.report_status()["recovering"] and server.stored() == 11)
    server.forget(prompt)
    assert sum(server.prefetch([key])[1] for key in prompt) == 11


def test_a_restart_prefetches_what_the_last_run_stored(open_server):
    server = open_server(DYNAMIC)
    prompt = keys(6, cache_salt="alice")
    server.store(prompt)
    server.close()
    assert open_server(DYNAMIC).prefetch(prompt) == (0, 6)


@pytest.mark.parametrize("name", NAMES)
def test_with_our_eviction_on_its_own_keeps_off(open_server, name: str):
    server = open_server(name, evicts=LRU, eviction={**LRU, "trigger_watermark": 0.5}, **small(name, 8))
    assert server.manager.report_status()["l2_eviction_controller"]["adapters"] == []
    for number in range(6):
        server.store(keys(4, cache_salt=str(number)))
    # Every store found room; what is there is at most what the watermark leaves, once the pass has ended.
    settle(lambda: server.used() <= 4 * CHUNK)
    assert server.prefetch(keys(4, cache_salt="5"))[0] == 4
    assert server.manager.report_status()["is_healthy"]


@pytest.mark.parametrize("name", NAMES)
def test_its_serde_works_beside_ours(open_server, name: str):
    server = open_server(name, serde={"type": "fp8"}, layout=KV)
    prompt = keys(4)
    server.store(prompt)
    # A byte for each value of two.
    assert server.used() == 4 * 2 * 4 * 64 * 1024
    server.forget(prompt)
    assert server.prefetch(prompt) == (0, 4)


def test_two_isolated_evictions_are_refused(open_server):
    isolated = {**LRU, "eviction_policy": "IsolatedLRU"}
    with pytest.raises(ValueError, match="eviction is configured twice"):
        open_server(DYNAMIC, evicts=isolated, eviction=LRU)


def test_its_quotas_evict_the_tenant_that_has_none(open_server):
    server = open_server(DYNAMIC, evicts={**LRU, "eviction_policy": "IsolatedLRU"})
    server.manager.quota_manager.set_quota("alice", 1 << 30)
    server.store(keys(3, cache_salt="alice"))
    server.store(keys(3, cache_salt="bob"))
    settle(lambda: server.manager.get_usage_bytes_by_cache_salt() == {"alice": 3 * CHUNK})


def test_a_wrong_configuration_is_one_clear_error(open_server):
    with pytest.raises(ValueError, match="wrokers"):
        open_server(DYNAMIC, wrokers=2)


@pytest.mark.parametrize("name", NAMES)
def test_it_shuts_down_and_nothing_stays(open_server, name: str):
    open_server(name).close()
    before = open_files(), threads()
    for _ in range(3):
        server = open_server(name, evicts=LRU)
        # Most of it is under way when it closes.
        server.write(keys(40))
        server.close()
    assert (open_files(), threads()) == before
