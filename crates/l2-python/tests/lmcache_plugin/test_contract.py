"""The contract of LMCache's adapters, a test for each sentence, on both."""

from __future__ import annotations

import gc
import os
import select

import pytest
from host import PAGE, Host, Recorder, key, keys, wait

MIB = 1 << 20


def test_the_three_descriptors_are_distinct_and_do_not_block(open_host):
    hosts = [open_host("NixlStoreDynamicL2Adapter"), open_host("NixlStoreL2Adapter")]
    fds = [
        fd
        for host in hosts
        for fd in (
            host.adapter.get_store_event_fd(),
            host.adapter.get_lookup_and_lock_event_fd(),
            host.adapter.get_load_event_fd(),
        )
    ]
    assert len(set(fds)) == 6
    assert not any(os.get_blocking(fd) or os.get_inheritable(fd) for fd in fds)


def test_tasks_are_numbered_from_nought_whatever_they_are(host: Host):
    adapter, chunks = host.adapter, host.l1.chunks(1)
    tasks = [
        adapter.submit_store_task([key(1)], chunks),
        adapter.submit_lookup_and_lock_task([key(2)], {}),
        adapter.submit_load_task([key(2)], host.l1.chunks(1, start=MIB)),
        adapter.submit_store_task([key(3)], chunks),
    ]
    assert tasks == [0, 1, 2, 3]


def test_what_was_stored_is_found_and_loaded(host: Host):
    assert host.lookup(keys(3)) == [False] * 3
    assert host.fill(keys(3), MIB) == 3 * MIB
    assert host.holds(keys(3), MIB) == [True] * 3


def test_an_event_for_each_completion(host: Host):
    for number in range(3):
        host.adapter.submit_store_task([key(number)], [host.l1.chunk(number * PAGE)])
    fd, done, events = host.adapter.get_store_event_fd(), {}, 0
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while events < 3:
        assert poll.poll(60_000)
        events += int.from_bytes(os.read(fd, 8), "little")
        done |= host.adapter.pop_completed_store_tasks()
        assert len(done) >= events
    assert {task: int(result) for task, result in done.items()} == dict.fromkeys(range(3), PAGE)


def test_a_result_is_given_once(host: Host):
    host.fill(keys(1))
    task = host.adapter.submit_lookup_and_lock_task(keys(1), {})
    wait(host.adapter.get_lookup_and_lock_event_fd(), lambda: host.adapter.query_lookup_and_lock_result(task))
    assert host.adapter.query_lookup_and_lock_result(task) is None
    assert host.adapter.query_load_result(99) is None
    assert host.adapter.pop_completed_store_tasks() == {}


def test_a_result_of_another_kind_is_not_given(host: Host):
    task = host.adapter.submit_lookup_and_lock_task(keys(1), {})
    assert host.adapter.query_load_result(task) is None
    wait(host.adapter.get_lookup_and_lock_event_fd(), lambda: host.adapter.query_lookup_and_lock_result(task))


def test_what_is_there_is_not_stored_again(host: Host):
    host.fill(keys(2))
    recorder = Recorder()
    host.adapter.register_listener(recorder)
    told = len(recorder.told)
    host.l1.write(host.l1.chunk(0), b"\xff" * PAGE)
    result = host.store(keys(1), [host.l1.chunk(0)])
    assert result.is_successful() and result.bytes_transferred() == 0
    assert len(recorder.told) == told
    assert host.holds(keys(2)) == [True] * 2


def test_the_same_key_twice_in_a_batch_is_stored_once(host: Host):
    chunks = host.l1.chunks(1) * 2
    assert host.store([key(1), key(1)], chunks) == PAGE
    assert host.adapter.get_usage().bytes_by_cache_salt == {"": PAGE}


def test_one_buffer_may_be_stored_by_two_tasks_at_once(host: Host):
    chunk = host.l1.chunk(0, 8 * MIB)
    tasks = {host.adapter.submit_store_task([key(number)], [chunk]) for number in range(2)}
    done = {}
    while len(done) < 2:
        done |= wait(host.adapter.get_store_event_fd(), host.adapter.pop_completed_store_tasks)
    assert done.keys() == tasks and all(result == 8 * MIB for result in done.values())


def test_usage_is_by_salt(host: Host):
    host.fill(keys(2, cache_salt="alice") + keys(1), MIB)
    usage = host.adapter.get_usage()
    assert (usage.total_bytes_used, dict(usage.bytes_by_cache_salt)) == (3 * MIB, {"alice": 2 * MIB, "": MIB})
    assert usage.usage_fraction == 3 * MIB / usage.total_capacity_bytes > 0
    assert host.adapter.supports_global_eviction


def test_keys_that_differ_in_any_field_are_different_objects(host: Host):
    changes = [{}, {"cache_salt": "é"}, {"kv_rank": 1}, {"object_group_id": 11}, {"model_name": "m"}]
    family = [key(1, **change) for change in changes]
    host.fill(family)
    assert host.holds(family) == [True] * 5


def test_a_pinned_object_is_not_deleted_and_each_hit_pins(host: Host):
    host.fill(keys(2))
    assert host.lookup([key(0), key(0), key(7)]) == [True, True, False]
    for _ in range(2):
        host.adapter.delete([key(0)])
        assert host.adapter.get_usage().total_bytes_used == 2 * PAGE
        host.adapter.submit_unlock([key(0)])
    host.adapter.delete([key(0)])
    assert host.lookup(keys(2)) == [False, True]


def test_unlock_of_what_is_unknown_or_not_pinned_is_nothing(host: Host):
    host.fill(keys(1))
    host.adapter.submit_unlock([key(0), key(0), key(9)])
    assert host.lookup(keys(1)) == [True]
    host.adapter.delete([key(0)])
    assert host.adapter.get_usage().total_bytes_used == PAGE


def test_a_load_needs_no_pin_and_misses_what_is_unknown(host: Host):
    host.fill(keys(2))
    assert host.load([key(1), key(7), key(0)], host.l1.chunks(3, start=MIB)) == [True, False, True]


def test_a_buffer_of_another_length_is_not_filled(host: Host):
    host.fill(keys(1))
    chunk = host.l1.chunk(MIB, 2 * PAGE)
    host.l1.write(chunk, b"\x55" * (2 * PAGE))
    assert host.load(keys(1), [chunk]) == [False]
    assert host.l1.read(chunk) == b"\x55" * (2 * PAGE)
    assert host.holds(keys(1)) == [True]


def test_what_one_object_cannot_do_is_that_objects_failure(host: Host):
    outside = host.l1.chunk(host.l1.desc.size - PAGE, 2 * PAGE)
    assert host.store([key(1), key(0)], [outside, host.l1.chunk(0)]) == -1
    assert host.lookup([key(0), key(1)])[1] is False
    host.fill(keys(2))
    assert host.load(keys(2), [host.l1.chunk(MIB), outside]) == [True, False]


def test_a_buffer_of_another_region_is_refused_whatever_its_offset_says(host: Host):
    host.fill(keys(1))
    foreign = host.l1.chunk(MIB)
    foreign.data_ptr += PAGE
    assert host.load(keys(1), [foreign]) == [False]
    assert host.store([key(5)], [foreign]) == -1


def test_lists_that_do_not_belong_together_are_an_error(host: Host):
    with pytest.raises(ValueError):
        host.adapter.submit_store_task(keys(2), host.l1.chunks(1))
    with pytest.raises(ValueError):
        host.adapter.submit_load_task(keys(1), host.l1.chunks(2))


def test_an_empty_batch_has_an_empty_result(host: Host):
    assert host.store([], []) == 0
    assert host.lookup([]) == []
    assert host.load([], []) == []


def test_status_has_the_fields_that_lmcache_reads(host: Host):
    host.fill(keys(2))
    host.lookup(keys(1))
    status = host.adapter.report_status()
    expect = {"is_healthy": True, "backend": "POSIX", "stored_object_count": 2, "pinned_object_count": 1}
    assert {name: status[name] for name in expect} == expect
    assert status["event_loop_alive"] is True
    dynamic = "Dynamic" in type(host.adapter).__name__
    assert status["type"] == ("DynamicNixlStoreL2Adapter" if dynamic else "NixlStoreL2Adapter")
    assert ("pool_size" in status, "pool_free_slots" in status) == (not dynamic, not dynamic)


def test_keys_are_listed_by_pages_and_by_model(host: Host):
    stored = keys(5) + keys(2, model_name="other")
    host.fill(stored)
    found, cursor = [], None
    while True:
        page = host.adapter.list_l2_keys(page_size=2, cursor=cursor)
        assert len(page.entries) <= 2 and all(entry.size_bytes == PAGE for entry in page.entries)
        found += [entry.key.to_object_key() for entry in page.entries]
        if (cursor := page.next_page_token) is None:
            break
    assert len(found) == 7 and set(found) == set(stored)
    page = host.adapter.list_l2_keys(model_name="other")
    assert {entry.key.model_name for entry in page.entries} == {"other"} and len(page.entries) == 2


@pytest.mark.parametrize("bad", [{"page_size": 0}, {"page_size": -1}, {"cursor": "no cursor of ours"}])
def test_a_bad_page_is_an_error(host: Host, bad: dict):
    with pytest.raises(ValueError):
        host.adapter.list_l2_keys(**bad)


def test_closing_twice_is_nothing_and_a_closed_adapter_harms_nobody(host: Host):
    host.fill(keys(1))
    host.adapter.close()
    host.adapter.close()
    assert host.adapter.pop_completed_store_tasks() == {}
    assert host.adapter.query_load_result(0) is None
    host.adapter.submit_unlock(keys(1))
    host.adapter.delete(keys(1))
    assert host.adapter.get_usage().total_bytes_used == 0
    assert host.adapter.report_status()["is_healthy"] is False


def test_a_dropped_adapter_closes_itself(host: Host):
    teller = host.adapter._teller
    host.adapter, host.closed = None, True
    gc.collect()
    teller._thread.join(60)
    assert not teller._thread.is_alive()
    assert not teller._close.alive
