"""Memory of Python's is kept until nothing touches it any more, and let go of then."""

from __future__ import annotations

import array
import ctypes
import gc
import io
import mmap
import weakref
from pathlib import Path

import pytest
from helpers import LIMIT, OBJECT, SLOTS, Open, config_of, content, key, program

import nixl_l2


def test_memory_of_its_own_is_zeroed_aligned_and_writable() -> None:
    memory = nixl_l2.L1Memory.allocate(3 * 4096)
    assert (memory.size, len(memory), memory.alignment, memory.address % 4096) == (3 * 4096, 3 * 4096, 4096, 0)
    view = memory.view()
    assert bytes(view) == bytes(3 * 4096) and not view.readonly
    view[5] = 7
    assert ctypes.c_ubyte.from_address(memory.address + 5).value == 7
    assert nixl_l2.L1Memory.allocate(4096, alignment=1 << 21).address % (1 << 21) == 0


def test_a_view_keeps_its_memory() -> None:
    memory = nixl_l2.L1Memory.allocate(4096)
    view = memory.view()
    del memory
    gc.collect()
    view[:] = b"x" * 4096
    assert bytes(view[:2]) == b"xx"


def test_memory_is_a_buffer_of_python() -> None:
    memory = nixl_l2.L1Memory.allocate(8192)
    view = memoryview(memory)
    assert (view.format, view.itemsize, view.shape, view.strides, view.ndim) == ("B", 1, (8192,), (1,), 1)
    assert view.contiguous and not view.readonly and view.obj is memory
    view.cast("I")[0] = 0x01020304
    assert bytes(memory)[:4] == b"\x04\x03\x02\x01"
    assert io.BytesIO(b"read into it").readinto(memory) == 12
    assert (ctypes.c_char * 4).from_buffer(memory).raw == b"read"
    # A memory over another's bytes.
    other = nixl_l2.L1Memory.from_buffer(memory)
    assert other.address == memory.address
    with pytest.raises(TypeError):
        nixl_l2.L1Memory()  # type: ignore[call-arg]
    assert nixl_l2.L1Memory.__name__ == "L1Memory" and nixl_l2.L1Memory.__module__ == "nixl_l2"


def test_memory_is_let_go_of_with_its_last_view() -> None:
    """Address space for ever: each round maps a gigabyte."""
    for _ in range(300):
        memory = nixl_l2.L1Memory.allocate(1 << 30)
        views = [memory.view(), memoryview(memory)]
        del memory
        views[0][0] = 1
    with open("/proc/self/status") as status:
        mapped = next(int(line.split()[1]) for line in status if line.startswith("VmSize"))
    assert mapped < 100 << 20


class Derived(nixl_l2.L1Memory):
    """A host's own class of memory."""


def test_a_class_of_memory_can_be_derived(tmp_path: Path) -> None:
    memory = Derived.allocate(SLOTS * OBJECT)
    assert type(memory) is Derived and len(memoryview(memory)) == SLOTS * OBJECT
    with nixl_l2.Adapter(config_of("nixl_store_dynamic", tmp_path), memory) as adapter:
        assert Open({}, adapter, memory).store([1]).ok
        assert adapter.memory is memory


@pytest.mark.parametrize(
    "make",
    [
        lambda: bytearray(SLOTS * OBJECT),
        lambda: array.array("d", bytes(SLOTS * OBJECT)),
        lambda: mmap.mmap(-1, SLOTS * OBJECT),
        lambda: (ctypes.c_char * (SLOTS * OBJECT))(),
        lambda: memoryview(bytearray(SLOTS * OBJECT + 8))[8:],
        lambda: nixl_l2.L1Memory.allocate(SLOTS * OBJECT),
    ],
)
def test_any_writable_buffer_will_do(make, tmp_path: Path) -> None:
    buffer = make()
    memory = nixl_l2.L1Memory.from_buffer(buffer)
    assert memory.size == SLOTS * OBJECT
    config = config_of("nixl_store_dynamic", tmp_path)
    with nixl_l2.Adapter(config, memory) as adapter:
        with memoryview(buffer) as view, view.cast("B") as plain:
            plain[:OBJECT] = content(3)
        opened = Open(config, adapter, memory)
        offsets, lengths = opened.places(1)
        assert adapter.wait_store(adapter.submit_store([key(3)], offsets, lengths), LIMIT).ok
        assert opened.load([key(3)], first=5).ok
        with memoryview(buffer) as view, view.cast("B") as plain:
            assert bytes(plain[5 * OBJECT : 6 * OBJECT]) == content(3)


def test_a_buffer_in_use_cannot_be_resized_and_can_be_again_later(tmp_path: Path) -> None:
    buffer = bytearray(SLOTS * OBJECT)
    adapter = nixl_l2.Adapter(config_of("nixl_store_dynamic", tmp_path), nixl_l2.L1Memory.from_buffer(buffer))
    with pytest.raises(BufferError):
        buffer.append(0)
    adapter.close()
    del adapter
    gc.collect()
    buffer.append(0)


class Buffer(bytearray):
    """One that can be watched."""


def test_a_buffer_is_kept_while_a_load_may_write_to_it(kind: str, tmp_path: Path) -> None:
    buffer = Buffer(SLOTS * OBJECT)
    watched = weakref.ref(buffer)
    memory = nixl_l2.L1Memory.from_buffer(buffer)
    adapter = nixl_l2.Adapter(config_of(kind, tmp_path), memory)
    opened = Open({}, adapter, memory)
    keys = [key(number) for number in range(SLOTS)]
    assert opened.store(list(range(SLOTS))).ok
    offsets, lengths = opened.places(SLOTS)
    opened.view.release()
    tasks = []
    for _ in range(20):
        tasks.append(adapter.submit_load(keys, offsets, lengths))
    del buffer, memory, opened
    gc.collect()
    assert watched() is not None
    reports = [adapter.wait_load(task, LIMIT) for task in tasks]
    # One into the same range as another that was under way is refused; the first never is.
    assert reports[0].ok
    assert all("still held" in text for report in reports for text in report.errors.values())
    adapter.close()
    del adapter
    gc.collect()
    assert watched() is None


def test_what_is_kept_alive_is_let_go_of_with_the_memory() -> None:
    class Owner:
        pass

    owner, watched = Owner(), None
    memory = nixl_l2.L1Memory.allocate(4096)
    watched = weakref.ref(owner)
    other = nixl_l2.L1Memory.from_address(memory.address, 4096, owner)
    del owner
    gc.collect()
    assert watched() is not None
    del other
    gc.collect()
    assert watched() is None


def test_an_adapter_that_is_dropped_closes_itself(kind: str, tmp_path: Path) -> None:
    memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
    adapter = nixl_l2.Adapter(config_of(kind, tmp_path), memory)
    watched = weakref.ref(adapter)
    offsets, lengths = Open({}, adapter, memory).fill(list(range(SLOTS)))
    adapter.submit_store([key(number) for number in range(SLOTS)], offsets, lengths)
    del adapter
    gc.collect()
    assert watched() is None
    assert memory.ranges_in_use == 0
    # What it held of the storage is free: a pool's files have one user.
    nixl_l2.Adapter(config_of(kind, tmp_path), memory).close()


def test_cycles_through_adapter_memory_and_buffer_are_collected(tmp_path: Path) -> None:
    """The collector must close the adapter first: otherwise a load would write into what was freed."""
    for _ in range(5):
        buffer = Buffer(SLOTS * OBJECT)
        memory = nixl_l2.L1Memory.from_buffer(buffer)
        adapter = nixl_l2.Adapter(config_of("nixl_store_dynamic", tmp_path), memory)
        buffer.adapter = adapter  # type: ignore[attr-defined]
        watched = [weakref.ref(buffer), weakref.ref(adapter)]
        offsets, lengths = [at * OBJECT for at in range(SLOTS)], [OBJECT] * SLOTS
        keys = [key(number) for number in range(SLOTS)]
        adapter.wait_store(adapter.submit_store(keys, offsets, lengths), LIMIT)
        adapter.submit_load(keys, offsets, lengths)
        del buffer, memory, adapter
        gc.collect()
        assert [reference() for reference in watched] == [None, None]


def test_what_makes_keys_is_in_the_collectors_sight(tmp_path: Path) -> None:
    class Maker:
        def __call__(self, **parts: object) -> object:
            return parts

    maker = Maker()
    adapter = nixl_l2.Adapter(
        config_of("nixl_store_dynamic", tmp_path), nixl_l2.L1Memory.allocate(4096), key_type=maker
    )
    maker.adapter = adapter  # type: ignore[attr-defined]
    watched = weakref.ref(maker)
    del maker, adapter
    gc.collect()
    assert watched() is None


def test_a_load_into_a_range_under_way_is_refused_alone(tmp_path: Path) -> None:
    """Whichever is first, at most one task at a time loads into a range."""
    memory = nixl_l2.L1Memory.allocate(64 << 20)
    with nixl_l2.Adapter(config_of("nixl_store_dynamic", tmp_path), memory) as adapter:
        whole = [64 << 20]
        assert adapter.wait_store(adapter.submit_store([key(1)], [0], whole), LIMIT).ok
        tasks = [adapter.submit_load([key(1)], [0], whole) for _ in range(3)]
        reports = [adapter.wait_load(task, LIMIT) for task in tasks]
        assert reports[0].ok
        assert adapter.wait_load(adapter.submit_load([key(1)], [0], whole), LIMIT).ok
    assert memory.ranges_in_use == 0


def test_many_adapters_of_one_process_leave_nothing_open(tmp_path: Path) -> None:
    program(
        """
def descriptors():
    return len(os.listdir("/proc/self/fd"))
memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
def once():
    with nixl_l2.Adapter(config_of("nixl_store_dynamic", directory), memory) as adapter:
        assert Open({}, adapter, memory).store([1]).ok
once()
gc.collect()
before = descriptors()
for _ in range(20):
    once()
gc.collect()
assert descriptors() == before, (before, descriptors())
""",
        tmp_path,
    )


def test_a_load_has_not_ended_before_its_memory_is_free(tmp_path: Path) -> None:
    """However short its time: past it NIXL may go on writing, and whoever hears of the end uses the memory again."""
    size = 64 << 20
    memory = nixl_l2.L1Memory.allocate(2 * size)
    view = memory.view()
    view[:size] = b"A" * size
    config = config_of("nixl_store_dynamic", tmp_path)
    config["backend_params"]["use_direct_io"] = "true"
    with nixl_l2.Adapter(config, memory) as adapter:
        assert adapter.wait_store(adapter.submit_store([key(1)], [0], [size]), LIMIT).ok
    for limit in (0.0005, 0.001, 0.002, 0.004, 0.008):
        with nixl_l2.Adapter({**config, "io_timeout_seconds": limit}, memory) as adapter:
            view[size:] = bytes(size)
            task = adapter.submit_load([key(1)], [size], [size])
            report = adapter.wait_load(task, LIMIT)
            assert memory.ranges_in_use == 0, f"{report}: the load has ended, and a transfer holds its memory"
            view[size:] = b"B" * size
        assert bytes(view[size:]) == b"B" * size


def test_what_is_being_loaded_is_not_stored(tmp_path: Path) -> None:
    """A load of many objects, and at once a store from where each goes: it is refused, or comes after the load."""
    count = 256
    memory = nixl_l2.L1Memory.allocate(2 * count * OBJECT)
    view = memory.view()
    offsets, lengths = [at * OBJECT for at in range(count)], [OBJECT] * count
    for at in range(count):
        view[offsets[at] : offsets[at] + OBJECT] = content(at)
    places = [(count + at) * OBJECT for at in range(count)]
    with nixl_l2.Adapter(config_of("nixl_store_dynamic", tmp_path), memory) as adapter:
        assert adapter.wait_store(adapter.submit_store([key(at) for at in range(count)], offsets, lengths), LIMIT).ok
        load = adapter.submit_load([key(at) for at in range(count)], places, lengths)
        store = adapter.submit_store([key(1000 + at) for at in range(count)], places, lengths)
        assert adapter.wait_load(load, LIMIT).ok
        report = adapter.wait_store(store, LIMIT)
        assert all("still being loaded" in error for error in report.errors.values()), report.errors
        stored = [at for at in range(count) if report.mask[at]]
        again = adapter.submit_load([key(1000 + at) for at in stored], offsets[: len(stored)], lengths[: len(stored)])
        assert adapter.wait_load(again, LIMIT).ok
        for slot, at in enumerate(stored):
            assert bytes(view[offsets[slot] : offsets[slot] + OBJECT]) == content(at)
