"""Every call of an adapter, on both kinds of it, with real files."""

from __future__ import annotations

import os
import select
from pathlib import Path

import pytest
from helpers import LIMIT, OBJECT, SLOTS, HostKey, Open, config_of, content, host_key, key

import nixl_l2


@pytest.mark.parametrize("make", [key, host_key])
def test_what_is_stored_is_found_and_loaded_byte_for_byte(opened: Open, make) -> None:
    numbers = list(range(10))
    stored = opened.store(numbers, make)
    assert (stored.ok, stored.bytes, stored.mask, stored.errors) == (True, 10 * OBJECT, b"\1" * 10, {})
    opened.view[:] = bytes(len(opened.view))
    keys = [make(number) for number in numbers]
    found = opened.look_up(keys)
    assert (found.mask, found.prefix_hits, found.errors) == (b"\1" * 10, 10, {})
    assert found.lengths() == [OBJECT] * 10
    loaded = opened.load(list(reversed(keys)), first=20)
    assert (loaded.ok, loaded.bytes, loaded.mask) == (True, 10 * OBJECT, b"\1" * 10)
    for at, number in enumerate(reversed(numbers)):
        assert opened.slot(20 + at) == content(number)


def test_a_key_of_the_host_and_ours_are_the_same_key(opened: Open) -> None:
    opened.store([1, 2], host_key)
    assert opened.look_up([key(1), key(2), key(3)]).mask == b"\1\1\0"


def test_what_is_there_already_is_not_written_again(opened: Open) -> None:
    opened.store([1, 2])
    again = opened.store([1, 2])
    assert (again.ok, again.bytes, again.mask) == (True, 0, b"\1\1")


def test_a_miss_is_no_error_of_a_lookup_and_one_of_a_load(opened: Open) -> None:
    opened.store([1])
    found = opened.look_up([key(9), key(1)])
    assert (found.mask, found.prefix_hits, found.errors, found.lengths()) == (b"\0\1", 0, {}, [0, OBJECT])
    loaded = opened.load([key(9), key(1)])
    assert (loaded.ok, loaded.mask, list(loaded.errors)) == (False, b"\0\1", [0])
    assert "nothing is stored" in loaded.errors[0]


def test_an_object_of_another_length_fails_alone(opened: Open) -> None:
    opened.store([1, 2])
    task = opened.adapter.submit_load([key(1), key(2)], [0, 4 * OBJECT], [2 * OBJECT, OBJECT])
    loaded = opened.adapter.wait_load(task, LIMIT)
    assert (loaded.mask, list(loaded.errors)) == (b"\0\1", [0])
    assert str(OBJECT) in loaded.errors[0]


def test_hits_stay_until_they_are_unlocked(opened: Open) -> None:
    opened.store([1, 2])
    task = opened.adapter.submit_lookup([key(1), key(2)])
    opened.adapter.wait_lookup(task, LIMIT)
    report = opened.adapter.delete([key(1), key(2), key(3)])
    assert (report.mask, report.busy, report.bytes) == (b"\0\0\0", b"\1\1\0", 0)
    opened.adapter.unlock([key(1)])
    opened.adapter.unlock_task(task + 1000, [key(2)])
    assert opened.adapter.delete([key(1), key(2)]).mask == b"\1\0"
    opened.adapter.unlock_task(task, [key(2)])
    report = opened.adapter.delete([key(2)])
    assert (report.mask, report.bytes, report.errors) == (b"\1", OBJECT, {})
    assert opened.look_up([key(1), key(2)]).mask == b"\0\0"


def test_a_pin_is_taken_for_each_occurrence(opened: Open) -> None:
    opened.store([1])
    opened.look_up([key(1), key(1)])
    opened.adapter.unlock([key(1)])
    assert opened.adapter.delete([key(1)]).busy == b"\1"
    opened.adapter.unlock([key(1)])
    assert opened.adapter.delete([key(1)]).mask == b"\1"


def test_results_are_taken_once(opened: Open) -> None:
    offsets, lengths = opened.fill([1])
    adapter = opened.adapter
    store = adapter.submit_store([key(1)], offsets, lengths)
    assert select.select([adapter.store_fd], [], [], LIMIT)[0]
    assert list(adapter.take_stores()) == [store]
    assert adapter.take_stores() == {}
    lookup = adapter.submit_lookup([key(1)])
    assert select.select([adapter.lookup_fd], [], [], LIMIT)[0]
    taken = adapter.take_lookup(lookup)
    assert taken is not None and taken.mask == b"\1"
    assert adapter.take_lookup(lookup) is None
    load = adapter.submit_load([key(1)], offsets, lengths)
    assert select.select([adapter.load_fd], [], [], LIMIT)[0]
    assert adapter.take_load(load) is not None
    assert adapter.take_load(load) is None
    for wait in (adapter.wait_store, adapter.wait_lookup, adapter.wait_load):
        for task in (store, lookup, load, 10**6):
            with pytest.raises(nixl_l2.UnknownTaskError, match="taken already"):
                wait(task, 0)


def test_tasks_of_all_kinds_are_counted_together_from_0(opened: Open) -> None:
    offsets, lengths = opened.fill([1])
    adapter = opened.adapter
    tasks = [
        adapter.submit_lookup([]),
        adapter.submit_store([key(1)], offsets, lengths),
        adapter.submit_load([], [], []),
        adapter.submit_lookup([key(1)]),
    ]
    assert tasks == [0, 1, 2, 3]


def test_each_descriptor_counts_what_has_ended_of_its_kind(opened: Open) -> None:
    adapter = opened.adapter
    descriptors = [adapter.store_fd, adapter.lookup_fd, adapter.load_fd]
    assert len(set(descriptors)) == 3
    assert all(not os.get_blocking(fd) and not os.get_inheritable(fd) for fd in descriptors)
    for _ in range(3):
        opened.look_up([])
    opened.store([1])
    for fd, expected in ((adapter.lookup_fd, 3), (adapter.store_fd, 1)):
        raised = 0
        # A result may be taken before its event is raised: the last of them is waited for.
        while raised < expected and select.select([fd], [], [], LIMIT)[0]:
            raised += int.from_bytes(os.read(fd, 8), "little")
        assert raised == expected
    for fd in descriptors:
        with pytest.raises(BlockingIOError):
            os.read(fd, 8)


def test_an_event_is_raised_when_its_result_is_there(opened: Open) -> None:
    """A lookup in the index is answered before its number is known, and its event must not come first."""
    opened.store([1])
    for _ in range(200):
        task = opened.adapter.submit_lookup([key(1)])
        assert select.select([opened.adapter.lookup_fd], [], [], LIMIT)[0]
        os.read(opened.adapter.lookup_fd, 8)
        assert opened.adapter.take_lookup(task) is not None


def test_usage_and_status_say_what_is_there(opened: Open) -> None:
    opened.store([1, 2])
    opened.store([3], lambda number: key(number, salt="tenant"))
    usage = opened.adapter.usage()
    assert (usage.used, usage.by_salt) == (3 * OBJECT, {"": 2 * OBJECT, "tenant": OBJECT})
    assert usage.capacity == opened.adapter.capacity > 0
    opened.look_up([key(1)])
    status = opened.adapter.status()
    assert status["is_healthy"] is True
    assert (status["stored_object_count"], status["pinned_object_count"]) == (3, 1)
    assert status["used_bytes"] == 3 * OBJECT


def test_keys_are_listed_page_by_page_each_once(opened: Open) -> None:
    opened.store(list(range(40)))
    opened.store(list(range(40, 50)), lambda number: key(number, model="other"))
    opened.look_up([key(0)])
    for limit in (1, 7, 500):
        listed, cursor, pages = [], None, 0
        while True:
            page, cursor = opened.adapter.list_keys(limit=limit, cursor=cursor)
            assert len(page) <= limit
            listed += page
            pages += 1
            if cursor is None:
                break
        expected = {(key(number), OBJECT) for number in range(40)}
        expected |= {(key(number, model="other"), OBJECT) for number in range(40, 50)}
        assert len(listed) == 50 and set(listed) == expected
    page, _ = opened.adapter.list_keys("other")
    assert {found.model_name for found, _ in page} == {"other"} and len(page) == 10
    assert opened.adapter.list_keys("absent") == ([], None)


def test_what_was_stored_is_there_after_a_restart(dynamic: Open) -> None:
    dynamic.store([1, 2])
    dynamic.adapter.close()
    memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
    with nixl_l2.Adapter(dynamic.config, memory, key_type=HostKey) as adapter:
        again = Open(dynamic.config, adapter, memory)
        assert again.look_up([host_key(1), host_key(2)]).prefix_hits == 2
        assert again.load([host_key(1)]).ok
        assert again.slot(0) == content(1)
        page, _ = adapter.list_keys()
        assert {found for found, _ in page} == {host_key(1), host_key(2)}


def test_a_store_that_does_not_fit_says_so(tmp_path: Path) -> None:
    memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
    config = config_of("nixl_store", tmp_path) | {"pool_size": 4}
    with nixl_l2.Adapter(config, memory) as adapter:
        opened = Open(config, adapter, memory)
        report = opened.store(list(range(5)))
        assert not report.ok and report.errors
        assert all("\n" not in text for text in report.errors.values())
        assert opened.store(list(range(4))).ok


def test_eviction_makes_room_where_it_is_asked_for(tmp_path: Path) -> None:
    memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
    config = config_of("nixl_store", tmp_path, eviction={"eviction_policy": "LRU"}) | {"pool_size": 4}
    with nixl_l2.Adapter(config, memory, events=True) as adapter:
        opened = Open(config, adapter, memory)
        for number in range(12):
            assert opened.store([number]).ok
        assert opened.look_up([key(11)]).prefix_hits == 1
        assert opened.look_up([key(0)]).prefix_hits == 0
        deleted = [found for what, keys, _ in adapter.take_events() if what == "deleted" for found in keys]
        assert key(0) in deleted


def test_a_configuration_may_be_text(tmp_path: Path) -> None:
    text = (
        '{"type": "nixl_store_dynamic", "backend": "POSIX", "backend_params": '
        f'{{"file_path": "{tmp_path}", "use_direct_io": "true", "max_capacity_gb": "0.5"}}}}'
    )
    memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
    with nixl_l2.Adapter(text, memory) as adapter:
        assert adapter.capacity == 1 << 29
        assert Open({}, adapter, memory).store([1]).ok
