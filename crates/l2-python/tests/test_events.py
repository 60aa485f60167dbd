"""Who asks for events hears of all that is stored, used and deleted, in order."""

from __future__ import annotations

import gc
import threading
import weakref
from pathlib import Path
from typing import Any

from helpers import LIMIT, OBJECT, SLOTS, HostKey, Open, config_of, host_key, key

import nixl_l2


def test_each_change_is_told_in_order_with_its_bytes(opened: Open) -> None:
    take = opened.adapter.take_events
    assert take() == []
    opened.store([1, 2])
    opened.store([1, 2])
    assert take() == [("stored", [key(1), key(2)], [OBJECT, OBJECT])]
    opened.load([key(2), key(9), key(1)])
    assert take() == [("accessed", [key(2), key(1)], [])]
    opened.look_up([key(1), key(9)])
    assert take() == [("accessed", [key(1)], [])]
    opened.adapter.delete([key(1), key(2), key(9)])
    assert take() == [("deleted", [key(2)], [OBJECT])]
    opened.adapter.unlock([key(1)])
    opened.adapter.delete([key(1)])
    opened.store([1])
    assert [what for what, _, _ in take()] == ["deleted", "stored"]


def test_what_a_task_did_is_told_before_its_result_is_there(opened: Open) -> None:
    for number in range(50):
        opened.store([number])
        assert opened.adapter.take_events() == [("stored", [key(number)], [OBJECT])]


def test_what_is_there_already_is_told_at_first(dynamic: Open) -> None:
    dynamic.store([1])
    dynamic.adapter.close()
    memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
    with nixl_l2.Adapter(dynamic.config, memory, key_type=HostKey, events=True) as adapter:
        assert adapter.take_events(60) == [("stored", [host_key(1)], [OBJECT])]


def test_uses_can_be_left_out(kind: str, tmp_path: Path) -> None:
    memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
    config = config_of(kind, tmp_path / "cache")
    with nixl_l2.Adapter(config, memory, events=True, accesses=False) as adapter:
        opened = Open(config, adapter, memory)
        opened.store([1])
        opened.load([key(1)])
        opened.look_up([key(1)])
        assert adapter.take_events() == [("stored", [key(1)], [OBJECT])]


def test_a_wait_for_events_takes_nothing_and_ends_with_the_adapter(opened: Open) -> None:
    assert opened.adapter.wait_events(0.0) is False
    opened.store([1])
    assert opened.adapter.wait_events(60) is True
    assert opened.adapter.take_events() == [("stored", [key(1)], [OBJECT])]
    ended: list[bool] = []
    waiting = threading.Thread(target=lambda: ended.append(opened.adapter.wait_events(3600)))
    waiting.start()
    opened.adapter.close()
    waiting.join(60)
    assert ended == [False]


def test_what_is_told_soon_after_has_the_hosts_own_objects(kind: str, tmp_path: Path) -> None:
    memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
    config = config_of(kind, tmp_path)
    with nixl_l2.Adapter(config, memory, key_type=HostKey, events=True) as adapter:
        opened = Open(config, adapter, memory)
        keys = [host_key(number) for number in range(3)]
        offsets, lengths = opened.fill([0, 1, 2])
        assert adapter.wait_store(adapter.submit_store(keys, offsets, lengths), LIMIT).ok
        [(what, told, _)] = adapter.take_events()
        assert what == "stored" and all(one is other for one, other in zip(told, keys, strict=True))
        # Of two objects of one key it is the one that came last.
        again = [host_key(number) for number in range(3)]
        opened.load(again)
        [(what, told, _)] = adapter.take_events()
        assert what == "accessed" and all(one is other for one, other in zip(told, again, strict=True))
        # After many others a new one is made.
        for number in range(100, 100 + 40_000, 5_000):
            opened.look_up([host_key(number + at) for at in range(5_000)])
        assert adapter.delete([key(0)]).mask == b"\1"
        [(what, told, _)] = adapter.take_events()
        assert what == "deleted" and told == [keys[0]] and told[0] is not again[0]


def test_a_wait_that_runs_out_has_nothing(opened: Open) -> None:
    assert opened.adapter.take_events(0.15) == []


def test_a_key_that_the_host_refuses_is_left_out_and_the_others_are_told(kind: str, tmp_path: Path) -> None:
    def make(**parts: Any) -> HostKey:
        if "@" in parts["model_name"]:
            raise ValueError("no such model")
        return HostKey(**parts)

    memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
    config = config_of(kind, tmp_path)
    with nixl_l2.Adapter(config, memory, key_type=make, events=True) as adapter:
        opened = Open(config, adapter, memory)
        offsets, lengths = opened.fill([0, 1])
        # Ours are not kept: each is made anew.
        for one in (key(0), key(1, model="org/m@rev1")):
            assert adapter.wait_store(adapter.submit_store([one], offsets[:1], lengths[:1]), LIMIT).ok
        both = [key(2), key(3, model="org/m@rev1")]
        assert adapter.wait_store(adapter.submit_store(both, offsets, lengths), LIMIT).ok
        told = [event for event in adapter.take_events() if event[0] == "stored"]
        assert told == [("stored", [host_key(0)], [OBJECT]), ("stored", [host_key(2)], [OBJECT])]
        listed, cursor = adapter.list_keys()
        assert sorted(one.chunk_hash for one, _ in listed) == [host_key(0).chunk_hash, host_key(2).chunk_hash]
        assert cursor is None


def test_keys_that_hold_their_adapter_go_with_it(tmp_path: Path) -> None:
    class Holding(HostKey):
        adapter: Any = None

    memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
    gone = []
    for round in range(3):
        adapter = nixl_l2.Adapter(config_of("nixl_store_dynamic", tmp_path), memory, key_type=HostKey, events=True)
        one = Holding(bytes(32), "org/model", 7)
        object.__setattr__(one, "adapter", adapter)
        adapter.wait_lookup(adapter.submit_lookup([one]), LIMIT)
        weakref.finalize(one, gone.append, round)
        del adapter, one
        gc.collect()
    assert gone == [0, 1, 2]
