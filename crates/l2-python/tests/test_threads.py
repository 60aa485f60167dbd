"""Many threads on one adapter; and that no call keeps the interpreter while it waits."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from helpers import LIMIT, OBJECT, SLOTS, Open, config_of, content, key

import nixl_l2

THREADS = 8
ROUNDS = 40


def test_threads_at_once_see_whole_objects_alone(opened: Open) -> None:
    """Each thread has slots of its own, and all share the keys."""
    slots, adapter = SLOTS // THREADS, opened.adapter

    def work(thread: int) -> int:
        chance, loads = random.Random(thread), 0
        places = [(thread * slots + at) * OBJECT for at in range(slots)]
        for _ in range(ROUNDS):
            numbers = chance.sample(range(30), slots)
            keys = [key(number) for number in numbers]
            for offset, number in zip(places, numbers, strict=True):
                opened.view[offset : offset + OBJECT] = content(number)
            adapter.wait_store(adapter.submit_store(keys, places, [OBJECT] * slots), LIMIT)
            for offset in places:
                opened.view[offset : offset + OBJECT] = bytes(OBJECT)
            lookup = adapter.submit_lookup(keys)
            adapter.wait_lookup(lookup, LIMIT)
            loaded = adapter.wait_load(adapter.submit_load(keys, places, [OBJECT] * slots), LIMIT)
            for at, (offset, number) in enumerate(zip(places, numbers, strict=True)):
                if loaded.mask[at]:
                    loads += 1
                    assert opened.view[offset : offset + OBJECT] == content(number)
            adapter.unlock_task(lookup, keys)
            adapter.delete(chance.sample(keys, 2))
            adapter.usage()
        return loads

    with ThreadPoolExecutor(THREADS) as pool:
        loads = list(pool.map(work, range(THREADS)))
    assert all(loads)
    status = adapter.status()
    assert (status["tasks_in_flight"], status["pinned_object_count"]) == (0, 0)
    assert opened.memory.ranges_in_use == 0
    assert adapter.usage().used == status["stored_object_count"] * OBJECT


def test_of_many_who_wait_for_one_task_one_has_its_result(opened: Open) -> None:
    opened.store([1])
    for _ in range(20):
        task = opened.adapter.submit_lookup([key(1)])
        start = threading.Barrier(4)

        def wait() -> str:
            start.wait()
            try:
                return str(opened.adapter.wait_lookup(task, LIMIT).mask)
            except nixl_l2.UnknownTaskError:
                return "taken"

        with ThreadPoolExecutor(4) as pool:
            results = [pool.submit(wait) for _ in range(4)]
        assert sorted(result.result() for result in results) == [str(b"\1")] + ["taken"] * 3
        opened.adapter.unlock([key(1)])


def test_a_wait_leaves_the_interpreter_to_others(opened: Open) -> None:
    """The waiter is ended by what another thread does meanwhile."""
    opened.adapter.take_events()
    started = threading.Event()
    events: list[str] = []

    def wait() -> None:
        started.set()
        events.extend(what for what, _, _ in opened.adapter.take_events(LIMIT))

    waiter = threading.Thread(target=wait)
    waiter.start()
    started.wait()
    opened.store([1])
    waiter.join(LIMIT)
    assert events == ["stored"]


def test_closing_beside_everything_else_ends_well(kind: str, tmp_path: Path) -> None:
    for round in range(5):
        memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
        adapter = nixl_l2.Adapter(config_of(kind, tmp_path / str(round)), memory, events=True)
        slots, went = SLOTS // THREADS, threading.Barrier(THREADS + 1)

        def work(thread: int) -> int:
            places, done = [(thread * slots + at) * OBJECT for at in range(slots)], 0
            keys = [key(thread * slots + at) for at in range(slots)]
            went.wait()
            try:
                while True:
                    store = adapter.submit_store(keys, places, [OBJECT] * slots)
                    load = adapter.submit_load(keys, places, [OBJECT] * slots)
                    # Every task ends, also one that was under way when the adapter closed.
                    adapter.wait_store(store, LIMIT)
                    adapter.wait_load(load, LIMIT)
                    done += 1
            except nixl_l2.ClosedError:
                return done

        with ThreadPoolExecutor(THREADS) as pool:
            working = [pool.submit(work, thread) for thread in range(THREADS)]
            went.wait()
            adapter.close()
            assert all(future.result(LIMIT) >= 0 for future in working)
        assert memory.ranges_in_use == 0
