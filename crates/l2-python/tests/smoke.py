"""What a wheel must be able to do at least: store, look up, load, compare, close. Needs nothing but nixl_l2 and NIXL."""

import tempfile

import nixl_l2

OBJECT = 1 << 20
COUNT = 4


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        config = {
            "type": "nixl_store_dynamic",
            "backend": "POSIX",
            "backend_params": {"file_path": directory, "use_direct_io": "false", "max_capacity_gb": "1"},
        }
        memory = nixl_l2.L1Memory.allocate(COUNT * OBJECT)
        keys = [nixl_l2.ObjectKey("smoke", 0, 0, "", bytes([at]) * 32) for at in range(COUNT)]
        offsets, lengths = [at * OBJECT for at in range(COUNT)], [OBJECT] * COUNT
        with nixl_l2.Adapter(config, memory) as adapter:
            view = memory.view()
            for at, offset in enumerate(offsets):
                view[offset : offset + OBJECT] = bytes([at + 1]) * OBJECT
            stored = adapter.wait_store(adapter.submit_store(keys, offsets, lengths), 30)
            assert stored.ok and stored.bytes == COUNT * OBJECT, stored.errors
            view[:] = bytes(COUNT * OBJECT)
            lookup = adapter.submit_lookup(keys)
            found = adapter.wait_lookup(lookup, 30)
            assert found.prefix_hits == COUNT, found
            loaded = adapter.wait_load(adapter.submit_load(keys, offsets, lengths), 30)
            assert loaded.ok, loaded.errors
            for at, offset in enumerate(offsets):
                assert view[offset : offset + OBJECT] == bytes([at + 1]) * OBJECT, at
            adapter.unlock_task(lookup, keys)
            assert adapter.usage().used == COUNT * OBJECT, adapter.usage()
    print(f"nixl_l2 {nixl_l2.__version__}: stored, found, loaded and compared {COUNT} objects of {OBJECT} bytes")


main()
