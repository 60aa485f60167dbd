"""One directory, LMCache's own adapter and ours: each finds what the other stored, and loads the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from host import PAGE, content, key, keys

MIB = 1 << 20
LAYOUTS = [{}, {"shard_dirs": "true"}]
FAMILIES = [{}, {"cache_salt": "alice"}, {"cache_salt": "é"}, {"object_group_id": 11}, {"kv_rank": 0x12C000001}]


@pytest.mark.parametrize("layout", LAYOUTS, ids=["flat", "sharded"])
@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_what_lmcache_stored_is_found_and_loaded(open_theirs, open_host, layout: dict, family: dict):
    theirs = open_theirs(**layout)
    assert theirs.fill(keys(3, **family), MIB) == 3 * MIB
    theirs.close()
    ours = open_host(**layout)
    assert ours.holds(keys(3, **family), MIB) == [True] * 3
    assert ours.adapter.get_usage().total_bytes_used == 3 * MIB


@pytest.mark.parametrize("layout", LAYOUTS, ids=["flat", "sharded"])
@pytest.mark.parametrize("family", FAMILIES, ids=str)
@pytest.mark.parametrize("integrity", ["size", "checksum"])
def test_what_we_stored_lmcache_finds_and_loads(open_theirs, open_host, layout: dict, family: dict, integrity: str):
    ours = open_host(integrity=integrity, **layout)
    assert ours.fill(keys(3, **family), MIB) == 3 * MIB
    ours.close()
    theirs = open_theirs(**layout)
    assert theirs.holds(keys(3, **family), MIB) == [True] * 3


def test_both_write_the_same_file(open_theirs, open_host, tmp_path: Path):
    files = []
    for open_one in (open_theirs, open_host):
        host = open_one()
        host.fill([key(0, cache_salt="alice")])
        path = next((tmp_path / "cache").glob("*.bin"))
        files.append((path.name, path.read_bytes()))
        path.unlink()
        host.close()
    assert files[0] == files[1]
    assert files[0][1] == content(0)


def test_both_work_side_by_side_on_one_directory(open_theirs, open_host):
    theirs, ours = open_theirs(), open_host()
    for number in range(8):
        writer, reader = (theirs, ours) if number % 2 else (ours, theirs)
        batch = keys(4, model_name=f"model-{number}")
        assert writer.fill(batch) == 4 * PAGE
        assert reader.holds(batch) == [True] * 4


def test_what_either_evicts_is_gone_for_the_other(open_theirs, open_host):
    theirs, ours = open_theirs(), open_host()
    theirs.fill(keys(2))
    assert ours.holds(keys(2)) == [True] * 2
    ours.adapter.delete([key(0)])
    assert theirs.load([key(0)], theirs.l1.chunks(1)) == [False]
    theirs.adapter.delete([key(1)])
    assert ours.load([key(1)], ours.l1.chunks(1)) == [False]
    assert ours.lookup(keys(2)) == [False, False]
