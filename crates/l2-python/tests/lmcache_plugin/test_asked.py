"""Lookups and loads whose results LMCache never takes: of clients that went away."""

from __future__ import annotations

import pytest
from host import PAGE, Host, key, keys, wait

from nixl_l2.lmcache._asked import Asked


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def clocked(host: Host, **params: object) -> Clock:
    """Lets the adapter forget by a clock of the test's, and by these parameters."""
    clock = Clock()
    host.adapter._asked = Asked(params, clock)
    return clock


def ended(host: Host, kind: str) -> None:
    """Waits until a task of this kind has ended, and takes nothing."""
    fds = {"lookup": host.adapter.get_lookup_and_lock_event_fd(), "load": host.adapter.get_load_event_fd()}
    wait(fds[kind], lambda: True)


def abandon_lookup(host: Host, batch: list) -> int:
    task = host.adapter.submit_lookup_and_lock_task(batch, {})
    ended(host, "lookup")
    return task


def pinned(host: Host) -> int:
    return host.adapter.report_status()["pinned_object_count"]


def test_lookups_that_nobody_asks_for_are_forgotten_with_their_pins(host: Host):
    host.fill(keys(4))
    clock = clocked(host, pin_ttl_seconds=60)
    tasks = [abandon_lookup(host, [key(0), key(1), key(9)]) for _ in range(20)]
    assert (len(host.adapter._asked), pinned(host)) == (20, 2)
    for _ in range(2):
        clock.now += 60
        for _ in range(20):
            assert host.lookup([key(3)]) == [True]
            host.adapter.submit_unlock([key(3)])
    assert (len(host.adapter._asked), pinned(host)) == (0, 0)
    assert [host.adapter.query_lookup_and_lock_result(task) for task in tasks] == [None] * 20
    host.adapter.delete(keys(2))
    assert host.adapter.get_usage().total_bytes_used == 2 * PAGE


def test_loads_that_nobody_asks_for_are_forgotten(host: Host):
    host.fill(keys(1))
    clock = clocked(host, pin_ttl_seconds="60")
    task = host.adapter.submit_load_task(keys(1), host.l1.chunks(1))
    ended(host, "load")
    for _ in range(2):
        clock.now += 60
        host.load([key(9)], host.l1.chunks(1, start=1 << 20))
    assert len(host.adapter._asked) == 0
    assert host.adapter.query_load_result(task) is None


def test_what_was_slow_is_there_for_who_waits_for_it(host: Host):
    host.fill(keys(1))
    clock = clocked(host, pin_ttl_seconds=60)
    task = abandon_lookup(host, keys(1))
    clock.now += 3600
    # It is seen to have ended only now.
    assert host.lookup([key(9)]) == [False]
    bitmap = host.adapter.query_lookup_and_lock_result(task)
    assert bitmap.test(0) and host.adapter.query_lookup_and_lock_result(task) is None
    assert pinned(host) == 1


def test_younger_ones_stay(host: Host):
    host.fill(keys(1))
    clock = clocked(host, pin_ttl_seconds=60)
    task = abandon_lookup(host, keys(1))
    for _ in range(3):
        clock.now += 19
        host.lookup([key(9)])
    assert host.adapter.query_lookup_and_lock_result(task).test(0)


@pytest.mark.parametrize("never", [0, "0", 0.0])
def test_pins_for_ever_stay_though_the_result_goes(host: Host, never: object):
    host.fill(keys(1))
    clock = clocked(host, pin_ttl_seconds=never)
    task = abandon_lookup(host, keys(1))
    clock.now += 599
    host.lookup([key(9)])
    assert len(host.adapter._asked) == 1
    for _ in range(2):
        clock.now += 600
        host.lookup([key(9)])
    assert host.adapter.query_lookup_and_lock_result(task) is None
    assert pinned(host) == 1
