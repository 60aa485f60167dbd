"""What is wrong is named, by an exception of the kind that Python people expect, and nothing is done."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import LIMIT, OBJECT, SLOTS, Open, config_of, host_key, key

import nixl_l2


def parts(**other: object) -> SimpleNamespace:
    good = {"model_name": "m", "kv_rank": 0, "object_group_id": 0, "cache_salt": "", "chunk_hash": b"x"}
    return SimpleNamespace(**(good | other))


@pytest.mark.parametrize(
    ("other", "error", "says"),
    [
        ({"model_name": b"m"}, TypeError, r"keys\[1\] is no key: model_name has to be str, and is bytes"),
        ({"model_name": None}, TypeError, "model_name has to be str"),
        ({"model_name": "\ud800"}, ValueError, r"keys\[1\]"),
        ({"kv_rank": -1}, ValueError, r"keys\[1\] is no key: kv_rank is -1"),
        ({"kv_rank": 1 << 64}, ValueError, "kv_rank"),
        ({"kv_rank": "0"}, TypeError, "kv_rank has to be int, and is str"),
        ({"object_group_id": 1.5}, TypeError, "object_group_id has to be int"),
        ({"cache_salt": 5}, TypeError, "cache_salt has to be str"),
        ({"chunk_hash": "ab"}, TypeError, "chunk_hash has to be bytes, and is str"),
        ({"chunk_hash": bytearray(b"ab")}, TypeError, "chunk_hash has to be bytes"),
    ],
)
def test_a_key_of_wrong_types_is_named_by_its_place(opened: Open, other, error, says) -> None:
    keys = [key(1), parts(**other)]
    adapter, places = opened.adapter, ([0, OBJECT], [OBJECT, OBJECT])
    for call in (adapter.submit_lookup, adapter.unlock, adapter.delete):
        with pytest.raises(error, match=says):
            call(keys)
    for call in (adapter.submit_store, adapter.submit_load):
        with pytest.raises(error, match=says):
            call(keys, *places)
    with pytest.raises(error, match=says):
        adapter.unlock_task(0, keys)
    assert adapter.status()["tasks_in_flight"] == 0


@pytest.mark.parametrize("keys", [[1], ["text"], [None], [object()], [parts().__dict__]])
def test_what_is_no_key_at_all_is_a_type_error(dynamic: Open, keys) -> None:
    with pytest.raises(TypeError, match=r"keys\[0\] is no key: .*model_name"):
        dynamic.adapter.submit_lookup(keys)


@pytest.mark.parametrize("keys", [None, 5, key(1)])
def test_a_batch_that_is_none_is_a_type_error(dynamic: Open, keys) -> None:
    with pytest.raises(TypeError):
        dynamic.adapter.submit_lookup(keys)


def test_an_error_in_an_attribute_of_a_key_comes_out(dynamic: Open) -> None:
    class Sly:
        @property
        def model_name(self) -> str:
            raise ZeroDivisionError("of the host")

    with pytest.raises(ZeroDivisionError, match="of the host"):
        dynamic.adapter.submit_lookup([key(1), Sly()])


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"model_name": "a\0b"}, "NUL"),
        ({"model_name": ""}, "1 to 512 bytes"),
        ({"model_name": "m" * 513}, "1 to 512 bytes"),
        ({"model_name": "a/../b"}, "leave the cache directory"),
        ({"cache_salt": "a@b"}, "'@'"),
        ({"cache_salt": "a/b"}, "'/'"),
        ({"cache_salt": "s" * 129}, "128"),
        ({"chunk_hash": b""}, "1 to 64 bytes"),
        ({"chunk_hash": b"x" * 65}, "1 to 64 bytes"),
    ],
)
def test_a_key_that_no_storage_can_have_is_refused_alone(opened: Open, other, says) -> None:
    with pytest.raises(nixl_l2.InvalidKeyError, match=says):
        nixl_l2.ObjectKey(**vars(parts(**other)))
    bad, adapter = parts(**other), opened.adapter
    batch = [key(1), bad, key(2), bad]
    offsets, lengths = opened.fill([1, 0, 2, 0])
    stored = adapter.wait_store(adapter.submit_store(batch, offsets, lengths), LIMIT)
    assert (stored.ok, stored.mask, sorted(stored.errors)) == (False, b"\1\0\1\0", [1, 3])
    assert says in stored.errors[1]
    found = adapter.wait_lookup(adapter.submit_lookup(batch), LIMIT)
    assert (found.mask, found.lengths(), sorted(found.errors)) == (b"\1\0\1\0", [OBJECT, 0, OBJECT, 0], [1, 3])
    loaded = adapter.wait_load(adapter.submit_load(batch, offsets, lengths), LIMIT)
    assert (loaded.mask, sorted(loaded.errors)) == (b"\1\0\1\0", [1, 3])
    adapter.unlock(batch)
    deleted = adapter.delete(batch)
    assert (deleted.mask, sorted(deleted.errors)) == (b"\1\0\1\0", [1, 3])


@pytest.mark.parametrize(
    ("offsets", "lengths", "error", "says"),
    [
        ([0], [OBJECT, OBJECT], ValueError, "2 keys, 1 offsets and 2 lengths"),
        ([0, 1], [OBJECT], ValueError, "2 keys, 2 offsets and 1 lengths"),
        ([0, -1], [1, 1], ValueError, r"offsets\[1\] is -1"),
        ([0, 1 << 64], [1, 1], ValueError, r"offsets\[1\]"),
        ([0, 1], [1, -5], ValueError, r"lengths\[1\] is -5"),
        ([0, 1], [1, 0], ValueError, r"lengths\[1\] is 0, which is no range of memory of \d+ bytes"),
        ([0, SLOTS * OBJECT], [1, 1], ValueError, r"offsets\[1\] is 262144"),
        ([0, SLOTS * OBJECT - 1], [1, 2], ValueError, "no range of memory"),
        ([0, (1 << 64) - 1], [1, 2], ValueError, "no range of memory"),
        ([0, "1"], [1, 1], TypeError, r"offsets\[1\] has to be int"),
        ([0, 1.0], [1, 1], TypeError, r"offsets\[1\] has to be int"),
        (None, [1, 1], TypeError, "not iterable|cannot be converted|NoneType"),
    ],
)
def test_ranges_that_are_none_are_named(opened: Open, offsets, lengths, error, says) -> None:
    for call in (opened.adapter.submit_store, opened.adapter.submit_load):
        with pytest.raises(error, match=says):
            call([key(1), key(2)], offsets, lengths)
    assert opened.adapter.status()["tasks_in_flight"] == 0
    assert opened.memory.ranges_in_use == 0


def test_without_strict_a_range_that_is_none_is_its_keys_error(opened: Open) -> None:
    outside, adapter = SLOTS * OBJECT - 1, opened.adapter
    opened.fill([1])
    stored = adapter.wait_store(adapter.submit_store([key(1), key(2)], [0, outside], [OBJECT] * 2, strict=False), LIMIT)
    assert (stored.mask, list(stored.errors)) == (b"\1\0", [1])
    batch = [key(1), key(1), key(1)]
    task = adapter.submit_load(batch, [OBJECT, OBJECT, outside], [OBJECT, OBJECT, 0], strict=False)
    loaded = adapter.wait_load(task, LIMIT)
    assert (loaded.mask, list(loaded.errors)) == (b"\1\0\0", [1, 2])


def test_ranges_to_load_into_may_not_overlap(opened: Open) -> None:
    with pytest.raises(nixl_l2.MemoryRangeError, match=r"keys\[0\] and keys\[2\] overlap"):
        opened.adapter.submit_load([key(1), key(2), key(3)], [0, 8192, 4095], [4096, 4096, 2])
    # To be read at once they may.
    opened.fill([1])
    task = opened.adapter.submit_store([key(1), key(2)], [0, 0], [OBJECT, OBJECT])
    assert opened.adapter.wait_store(task, LIMIT).ok


def test_every_fault_of_a_configuration_is_told(tmp_path: Path) -> None:
    memory = nixl_l2.L1Memory.allocate(4096)
    config = config_of("nixl_store_dynamic", tmp_path) | {"persist_enable": True, "workers": 1000}
    with pytest.raises(nixl_l2.ConfigError) as caught:
        nixl_l2.Adapter(config, memory)
    assert len(caught.value.faults) == 2
    assert any("persist_enabled" in fault for fault in caught.value.faults)
    assert isinstance(caught.value, ValueError)
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.faults == caught.value.faults
    with pytest.raises(nixl_l2.ConfigError):
        nixl_l2.Adapter("no JSON", memory)
    with pytest.raises(TypeError):
        nixl_l2.Adapter({"type": object()}, memory)
    with pytest.raises(TypeError):
        nixl_l2.Adapter(config, bytearray(4096))  # type: ignore[arg-type]


def test_a_storage_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no directory")
    with pytest.raises(nixl_l2.StorageError, match="file") as caught:
        nixl_l2.Adapter(config_of("nixl_store_dynamic", file), nixl_l2.L1Memory.allocate(4096))
    assert isinstance(caught.value, OSError) and caught.value.kind
    assert pickle.loads(pickle.dumps(caught.value)).kind == caught.value.kind


def test_a_closed_adapter_says_that_it_is_closed(opened: Open) -> None:
    opened.store([1])
    lookup = opened.adapter.submit_lookup([key(1)])
    adapter = opened.adapter
    adapter.close()
    adapter.close()
    assert adapter.closed
    for call in (
        lambda: adapter.submit_store([key(1)], [0], [1]),
        lambda: adapter.submit_lookup([key(1)]),
        lambda: adapter.submit_load([key(1)], [0], [1]),
        lambda: adapter.unlock([key(1)]),
        lambda: adapter.unlock_task(0, [key(1)]),
        lambda: adapter.delete([key(1)]),
        lambda: adapter.list_keys(),
        lambda: adapter.usage(),
        lambda: adapter.capacity,
    ):
        with pytest.raises(nixl_l2.ClosedError):
            call()
    # What had ended can still be taken.
    assert adapter.wait_lookup(lookup, LIMIT).mask == b"\1"
    assert adapter.status()["is_healthy"] is False
    assert [what for what, _, _ in adapter.take_events(LIMIT)][:1] == ["stored"]
    assert "closed" in repr(adapter)


def test_other_arguments_are_checked(opened: Open) -> None:
    adapter = opened.adapter
    with pytest.raises(ValueError, match="limit"):
        adapter.list_keys(limit=0)
    with pytest.raises(ValueError, match="cursor"):
        adapter.list_keys(cursor="elsewhere")
    for seconds in (-1, float("nan")):
        with pytest.raises(ValueError, match="timeout"):
            adapter.wait_lookup(0, seconds)
        with pytest.raises(ValueError, match="timeout"):
            adapter.take_events(seconds)
    with pytest.raises(OverflowError):
        adapter.take_lookup(-1)
    with pytest.raises(TypeError):
        adapter.take_lookup("0")  # type: ignore[arg-type]


def test_events_are_for_those_who_asked(dynamic: Open) -> None:
    with pytest.raises(ValueError, match="events=True"):
        dynamic.adapter.take_events()


def test_memory_that_cannot_be_is_refused() -> None:
    memory = nixl_l2.L1Memory
    with pytest.raises(MemoryError):
        memory.allocate(0)
    with pytest.raises(MemoryError):
        memory.allocate(1 << 60)
    with pytest.raises(MemoryError, match="power of two"):
        memory.allocate(4096, 5000)
    with pytest.raises(OverflowError):
        memory.allocate(-1)
    with pytest.raises(ValueError, match="null"):
        memory.from_address(0, 4096)
    with pytest.raises(ValueError, match="length is 0"):
        memory.from_address(4096, 0)
    with pytest.raises(ValueError, match="alignment"):
        memory.from_address(4097, 4096, alignment=4096)
    with pytest.raises(ValueError, match="read-only"):
        memory.from_buffer(bytes(16))
    with pytest.raises(ValueError, match="empty"):
        memory.from_buffer(bytearray())
    with pytest.raises(ValueError, match="contiguous"):
        memory.from_buffer(memoryview(bytearray(16))[::2])
    with pytest.raises(TypeError):
        memory.from_buffer(5)


def test_keys_are_values() -> None:
    one, same, other = key(1), key(1), key(2)
    assert one == same and hash(one) == hash(same) and one != other and len({one, same, other}) == 2
    assert one != host_key(1) and one != "key"
    assert pickle.loads(pickle.dumps(one)) == one
    match one:
        case nixl_l2.ObjectKey(model, rank, group, salt, chunk):
            assert (model, rank, group, salt, chunk) == ("org/model", 7, 0, "", (1).to_bytes(32, "big"))
    assert "org/model" in repr(one)
    with pytest.raises(AttributeError):
        one.model_name = "other"  # type: ignore[misc]
    with pytest.raises(OverflowError):
        nixl_l2.ObjectKey("m", -1, 0, "", b"x")
    with pytest.raises(TypeError):
        nixl_l2.ObjectKey("m", 0, 0, "", "x")  # type: ignore[arg-type]


class Boasting(list):  # type: ignore[type-arg]
    """A batch that says that it has more than any machine could hold."""

    def __len__(self) -> int:
        return 1 << 46


def test_the_length_that_a_batch_says_it_has_is_a_hint(opened: Open) -> None:
    report = opened.look_up(Boasting([key(1)]))
    assert report.mask == b"\0"
    offsets, lengths = opened.fill([1])
    task = opened.adapter.submit_store(Boasting([key(1)]), Boasting(offsets), Boasting(lengths))
    assert opened.adapter.wait_store(task, LIMIT).ok
    opened.adapter.unlock(Boasting([key(1)]))
    assert opened.adapter.delete(Boasting([key(1)])).mask == b"\1"
