"""What LMCache's listeners are told: by whom, in which order, and before which result."""

from __future__ import annotations

import threading
from collections import Counter
from types import SimpleNamespace

import pytest
from host import LIMIT, PAGE, Host, Recorder, key, keys

from nixl_l2.lmcache import _telling

EVICTION = {"eviction_policy": "LRU", "trigger_watermark": 0.5, "eviction_ratio": 0.25}


class Failing(Recorder):
    """Fails whatever it is told."""

    def on_l2_keys_stored(self, keys: list, sizes: list[int]) -> None:
        raise RuntimeError("a listener that fails, on purpose")

    on_l2_keys_accessed = on_l2_keys_deleted = on_l2_keys_stored


def listening(host: Host) -> Recorder:
    recorder = Recorder()
    host.adapter.register_listener(recorder)
    return recorder


def test_a_store_is_told_with_its_bytes_before_its_result(host: Host):
    recorder = listening(host)
    batch = keys(3, cache_salt="a")
    host.fill(batch)
    assert [told for told in recorder.told if told[0] == "stored"] == [("stored", batch, [PAGE] * 3)]


def test_the_keys_are_the_hosts_own_objects(host: Host):
    recorder = listening(host)
    batch = keys(2)
    host.fill(batch)
    assert recorder.of("stored") == batch
    assert all(type(told) is type(key(1)) for told in recorder.of("stored"))


def test_a_load_is_told_in_the_order_of_the_request(host: Host):
    host.fill(keys(3))
    recorder = listening(host)
    request = [key(2), key(9), key(0)]
    host.load(request, host.l1.chunks(3, start=1 << 20))
    assert recorder.of("accessed") == [key(2), key(0)]


def test_a_delete_is_told_before_it_returns(host: Host):
    host.fill(keys(3))
    recorder = listening(host)
    host.adapter.delete([key(2), key(0), key(2)])
    assert sorted(recorder.of("deleted"), key=lambda gone: gone.chunk_hash) == [key(0), key(2)]
    assert host.adapter.get_usage().total_bytes_used == PAGE


def test_a_delete_of_what_is_not_there_is_told_and_counts_nothing(host: Host):
    host.fill(keys(2))
    recorder = listening(host)
    before = host.adapter._bytes_by_cache_salt.copy()
    host.adapter.delete([key(8, cache_salt="ghost"), key(9)])
    assert recorder.of("deleted") == [key(8, cache_salt="ghost"), key(9)]
    assert +Counter(host.adapter._bytes_by_cache_salt) == +Counter(before) == {"": 2 * PAGE}


def test_a_late_listener_is_told_what_is_there(host: Host):
    host.fill(keys(3))
    early = listening(host)
    assert set(early.of("stored")) == set(keys(3))
    host.adapter.delete([key(1)])
    assert set(listening(host).of("stored")) == {key(0), key(2)}
    assert len(early.of("stored")) == 3


def test_what_is_in_use_is_touched_when_lmcache_offers_it_for_eviction(host: Host):
    host.fill(keys(2))
    host.lookup([key(0)])
    recorder = listening(host)
    host.adapter.delete(keys(2))
    assert recorder.of("accessed") == [key(0)]
    assert recorder.of("deleted") == [key(1)]


def test_what_cannot_be_deleted_is_touched_too(host: Host):
    host.fill(keys(4))
    recorder = listening(host)
    # Of a storage that fails for the second key while the third is pinned.
    report = SimpleNamespace(bytes=2 * PAGE, mask=b"\1\0\0\1", busy=b"\0\0\1\0", errors={1: "it cannot be removed"})
    native = host.adapter._native
    host.adapter._native = SimpleNamespace(delete=lambda keys: report)
    host.adapter.delete(keys(4))
    host.adapter._native = native
    assert recorder.of("accessed") == [key(1), key(2)]


def test_a_listener_that_fails_harms_no_store_and_no_delete(host: Host):
    recorder = listening(host)
    host.adapter.register_listener(Failing())
    assert host.fill(keys(2)) == 2 * PAGE
    host.adapter.delete([key(0)])
    assert host.lookup(keys(2)) == [False, True]
    assert (recorder.of("stored"), recorder.of("deleted")) == (keys(2), [key(0)])


def test_a_listener_may_call_the_adapter(host: Host):
    class Asking(Recorder):
        def on_l2_keys_stored(self, keys: list, sizes: list[int]) -> None:
            host.adapter.delete(keys)
            super().on_l2_keys_stored(keys, sizes)

    recorder = Asking()
    host.adapter.register_listener(recorder)
    assert host.fill(keys(1)) == PAGE
    assert recorder.of("deleted") == keys(1)
    assert host.lookup(keys(1)) == [False]


def test_a_listener_may_wait_for_another_thread_that_closes(host: Host, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_telling, "_CLOSE_LIMIT", 0.1)
    host.fill(keys(1))

    class Closing(Recorder):
        closed = False

        def on_l2_keys_deleted(self, keys: list) -> None:
            closes = threading.Thread(target=host.close, daemon=True)
            closes.start()
            closes.join(LIMIT)
            self.closed = not closes.is_alive()

    listener = Closing()
    host.adapter.register_listener(listener)
    host.adapter.delete(keys(1))
    assert listener.closed
    assert host.adapter.report_status()["is_healthy"] is False


def test_a_listener_may_close_from_the_thread_that_tells(open_host):
    host = open_host(max_capacity_gb=str(4 * PAGE / (1 << 30)), eviction=EVICTION)
    done = threading.Event()

    class Closing(Recorder):
        def on_l2_keys_deleted(self, keys: list) -> None:
            host.close()
            done.set()

    host.adapter.register_listener(Closing())
    host.adapter.submit_store_task(keys(4), host.l1.chunks(4))
    # Nobody takes the result: it is the thread that tells.
    assert done.wait(LIMIT)
    host.adapter._teller._thread.join(LIMIT)
    assert not host.adapter._teller._thread.is_alive()


def test_what_nobody_asked_for_is_told_all_the_same(open_host):
    heard = threading.Event()

    class Waiting(Recorder):
        def on_l2_keys_deleted(self, keys: list) -> None:
            super().on_l2_keys_deleted(keys)
            heard.set()

    host = open_host(max_capacity_gb=str(8 * PAGE / (1 << 30)), eviction=EVICTION)
    recorder = Waiting()
    host.adapter.register_listener(recorder)
    host.fill(keys(6))
    # No method of the adapter is called meanwhile.
    assert heard.wait(60)
    assert set(recorder.of("deleted")) <= set(keys(6))
