"""What belongs to the adapter with a file for each object: its files, restarts, capacity, and wrong files."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from host import PAGE, Host, Recorder, key, keys, params

import nixl_l2

NAME = "meta-llama--Llama-3.1-8B_01000100_b_" + "00" * 31 + "01"


def files(directory: Path) -> list[Path]:
    """The objects' files, without what nixl-l2 keeps beside them."""
    return sorted(
        path.relative_to(directory / "cache") for path in directory.rglob("*.bin") if ".nixl-l2" not in path.parts
    )


@pytest.mark.parametrize(
    ("changes", "file"),
    [
        ({}, f"{NAME}.bin"),
        ({"shard_dirs": "true"}, f"00/00/{NAME}.bin"),
    ],
)
def test_files_have_lmcaches_names(open_host, tmp_path: Path, changes: dict, file: str):
    open_host(**changes).fill([key(1, object_group_id=11)])
    assert files(tmp_path) == [Path(file)]
    assert (tmp_path / "cache" / file).stat().st_size == PAGE


def test_a_salted_object_is_another_file(open_host, tmp_path: Path):
    open_host().fill([key(1, object_group_id=11, cache_salt="alice")])
    assert files(tmp_path) == [Path(f"{NAME}@alice.bin")]


def test_a_restart_finds_everything_and_counts_it(open_host):
    first = open_host()
    first.fill(keys(3))
    first.close()
    second = open_host()
    assert second.holds(keys(3)) == [True] * 3
    assert second.adapter.get_usage().total_bytes_used == 3 * PAGE


def test_what_an_earlier_run_left_is_told_to_listeners_with_lmcaches_keys(open_host):
    first = open_host()
    first.fill(keys(3, cache_salt="alice"))
    first.close()
    second = open_host()
    second.lookup(keys(3, cache_salt="alice"))
    recorder = Recorder()
    second.adapter.register_listener(recorder)
    assert set(recorder.of("stored")) == set(keys(3, cache_salt="alice"))
    assert dict(second.adapter.get_usage().bytes_by_cache_salt) == {"alice": 3 * PAGE}


class Named(Recorder):
    """Writes down the adapter's name, too, when it is told."""

    def __init__(self, adapter: Any) -> None:
        super().__init__()
        self.adapter = adapter
        self.names: list[str] = []
        self.heard = threading.Event()

    def on_l2_keys_stored(self, keys: list, sizes: list[int]) -> None:
        super().on_l2_keys_stored(keys, sizes)
        self.names.append(self.adapter._backend_name)
        self.heard.set()


def after_a_first_run(open_host: Callable[..., Host]) -> tuple[Host, Named]:
    """An adapter that has no name yet and has found what an earlier run left, and a listener that it has already."""
    first = open_host()
    first.fill(keys(3))
    first.close()
    host = open_host(named=False)
    # LMCache's event bus is there from the start, too.
    host.adapter._listeners.append(listener := Named(host.adapter))
    assert host.adapter._native.wait_events(60)
    return host, listener


def test_what_is_found_at_the_start_is_told_when_lmcache_has_named_the_adapter(open_host):
    host, listener = after_a_first_run(open_host)
    assert host.adapter._teller._thread is None and listener.told == []
    host.adapter.set_backend_identity("plugin", shared=True)
    assert listener.heard.wait(60)
    assert set(listener.names) == {"plugin"} and host.adapter._shared


@pytest.mark.parametrize("use", ["submit", "take", "delete"])
def test_an_adapter_that_is_used_without_a_name_tells_too(open_host, use: str):
    host, listener = after_a_first_run(open_host)
    if use == "submit":
        host.adapter.submit_lookup_and_lock_task(keys(3), {})
    elif use == "take":
        host.adapter.pop_completed_store_tasks()
    else:
        host.adapter.delete([key(9)])
    assert listener.heard.wait(60)


def test_an_adapter_that_was_never_named_closes(open_host):
    host, listener = after_a_first_run(open_host)
    host.close()
    assert listener.told == []


def test_an_object_of_another_process_is_told_when_it_is_found(open_host):
    one, other = open_host(), open_host()
    recorder = Recorder()
    other.adapter.register_listener(recorder)
    one.fill(keys(2))
    assert other.lookup(keys(2)) == [True, True]
    assert set(recorder.of("stored")) == set(keys(2))


def test_without_persistence_no_file_stays(open_host, tmp_path: Path):
    first = open_host()
    first.fill(keys(2))
    first.close()
    assert len(files(tmp_path)) == 2
    second = open_host(persist_enabled=False)
    second.fill(keys(1, cache_salt="bob"))
    second.close()
    assert files(tmp_path) == []


def test_a_store_that_does_not_fit_fails_and_the_rest_stays(open_host):
    host = open_host(max_capacity_gb=str(8 * PAGE / (1 << 30)))
    assert host.fill(keys(8)) == 8 * PAGE
    assert host.store([key(100)], host.l1.chunks(1)) == -1
    assert host.adapter.get_usage().usage_fraction == 1.0
    assert host.holds(keys(8)) == [True] * 8


@pytest.mark.parametrize("length", [0, 100, PAGE // 2, 2 * PAGE])
def test_a_file_of_the_wrong_length_is_no_load_and_heals(open_host, tmp_path: Path, length: int):
    host = open_host()
    host.fill(keys(1))
    path = next((tmp_path / "cache").glob("*.bin"))
    path.write_bytes(b"x" * length)
    assert host.load(keys(1), host.l1.chunks(1)) == [False]
    assert host.fill(keys(1)) == PAGE
    assert host.holds(keys(1)) == [True]


def test_a_file_that_is_gone_is_a_miss_and_told_as_deleted(open_host, tmp_path: Path):
    host = open_host()
    recorder = Recorder()
    host.adapter.register_listener(recorder)
    host.fill(keys(1))
    next((tmp_path / "cache").glob("*.bin")).unlink()
    assert host.load(keys(1), host.l1.chunks(1)) == [False]
    assert recorder.of("deleted") == keys(1)
    assert host.lookup(keys(1)) == [False]
    assert host.adapter.get_usage().total_bytes_used == 0


def test_a_file_that_cannot_be_removed_does_not_raise_where_lmcaches_thread_would_die(open_host, tmp_path: Path):
    host = open_host()
    host.fill(keys(2))
    path = sorted((tmp_path / "cache").glob("*.bin"))[0]
    path.unlink()
    path.mkdir()
    (path / "occupied").touch()
    host.adapter.delete(keys(2))
    assert host.lookup([key(1)]) == [False]


def test_model_names_that_lmcache_mixes_up_are_kept_apart(open_host):
    host = open_host()
    chunk = host.l1.chunk(0)
    host.l1.write(chunk, b"a" * PAGE)
    assert host.store([key(1, model_name="org/m")], [chunk]) == PAGE
    assert host.lookup([key(1, model_name="org--m")]) == [False]


def test_a_name_too_long_for_a_file_is_stored_all_the_same(open_host):
    host = open_host()
    long = [key(1, model_name="m" * 200, cache_salt="é" * 128)]
    host.fill(long)
    assert host.holds(long) == [True]


def test_a_key_that_cannot_be_a_file_is_a_miss_and_a_failed_store(open_host):
    host: Host = open_host()
    bad = [key(1, model_name="a\0b")]
    assert host.lookup(bad) == [False]
    assert host.load(bad, host.l1.chunks(1)) == [False]
    assert host.store(bad, host.l1.chunks(1)) == -1
    host.adapter.submit_unlock(bad)
    host.adapter.delete(bad)


def test_an_object_whose_key_lmcache_refuses_harms_nothing(open_host, l1, tmp_path: Path):
    # Not LMCache's, whose keys have no "@" in the model.
    with nixl_l2.Adapter({"type": "nixl_store_dynamic", **params("Dynamic", tmp_path)}, l1.memory) as other:
        foreign = nixl_l2.ObjectKey("org/m@rev1", 7, 0, "", bytes(32))
        assert other.wait_store(other.submit_store([foreign], [0], [PAGE]), 60).ok
    host = open_host()
    # A store waits for what is there to be read, so that it is told by now.
    assert host.fill(keys(2)) == 2 * PAGE
    recorder = Recorder()
    host.adapter.register_listener(recorder)
    assert host.adapter._teller._thread.is_alive()
    assert host.fill(keys(2, cache_salt="more")) == 2 * PAGE
    assert set(keys(2, cache_salt="more")) <= set(recorder.of("stored"))
    host.adapter.delete([key(0)])
    assert recorder.of("deleted") == [key(0)]
    assert host.holds(keys(2)) == [False, True]


def test_what_the_events_raise_ends_no_thread_and_loses_no_result(open_host, monkeypatch: pytest.MonkeyPatch):
    host = open_host()
    recorder = Recorder()
    host.adapter.register_listener(recorder)
    real, raised = host.adapter._teller._native, threading.Event()

    def take_events() -> list:
        raised.set()
        raise ValueError("keys that cannot be made, on purpose")

    failing = SimpleNamespace(take_events=take_events, list_keys=lambda cursor: take_events())
    monkeypatch.setattr(host.adapter._teller, "_native", failing)
    assert host.fill(keys(1)) == PAGE
    assert raised.wait(60)
    late = Recorder()
    host.adapter.register_listener(late)
    monkeypatch.setattr(host.adapter._teller, "_native", real)
    host.adapter.delete([key(0)])
    assert recorder.of("deleted") == late.of("deleted") == [key(0)]
    assert host.adapter._teller._thread.is_alive()
