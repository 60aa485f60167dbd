"""Configurations, how LMCache's loader finds the classes, and who evicts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from host import PAGE, keys, params
from lmcache.v1.distributed.eviction import L2EvictionPolicy
from lmcache.v1.distributed.l2_adapters.base import L2AdapterInterface
from lmcache.v1.distributed.l2_adapters.config import L2AdapterConfigBase

import nixl_l2.lmcache

EVICTION = {"eviction_policy": "LRU", "trigger_watermark": 0.8, "eviction_ratio": 0.2}
NAMES = ["NixlStoreDynamicL2Adapter", "NixlStoreL2Adapter"]


@pytest.mark.parametrize("name", NAMES)
def test_the_loader_finds_adapter_and_configuration(name: str):
    assert issubclass(getattr(nixl_l2.lmcache, name), L2AdapterInterface)
    assert issubclass(getattr(nixl_l2.lmcache, f"{name}Config"), L2AdapterConfigBase)
    assert getattr(nixl_l2.lmcache, name) is getattr(nixl_l2.lmcache, name)
    assert {name, f"{name}Config"} <= set(dir(nixl_l2.lmcache))


def test_other_names_are_not_there():
    assert not hasattr(nixl_l2.lmcache, "NixlStoreObj")


@pytest.mark.parametrize("name", NAMES)
def test_every_fault_is_named_at_once_before_anything_is_opened(name: str, tmp_path: Path):
    faults = {"backend": "POSIXX", "eviction": {**EVICTION, "trigger_watermark": 7}, "wrokers": 2}
    with pytest.raises(ValueError) as error:
        getattr(nixl_l2.lmcache, f"{name}Config").from_dict(params(name, tmp_path, **faults))
    for word in ("POSIXX", "trigger_watermark", "wrokers"):
        assert word in str(error.value)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", NAMES)
def test_help_has_the_keys(name: str):
    text = getattr(nixl_l2.lmcache, f"{name}Config").help()
    kind = "nixl_store_dynamic" if "Dynamic" in name else "nixl_store"
    for word in (repr(kind), "backend", "file_path", "use_direct_io", "eviction_policy"):
        assert word in text


def test_the_type_may_stay_in_the_parameters_if_it_is_the_right_one(tmp_path: Path):
    given = params(NAMES[0], tmp_path)
    config = nixl_l2.lmcache.NixlStoreDynamicL2AdapterConfig
    assert config.from_dict({**given, "type": "nixl_store_dynamic"}).params["type"] == "nixl_store_dynamic"
    with pytest.raises(ValueError, match="class_name"):
        config.from_dict({**given, "type": "nixl_store"})


def test_an_l1_that_is_no_memory_is_refused(tmp_path: Path):
    config = nixl_l2.lmcache.NixlStoreL2AdapterConfig.from_dict(params(NAMES[1], tmp_path))
    with pytest.raises(ValueError, match="L1 in main memory"):
        nixl_l2.lmcache.NixlStoreL2Adapter(config)


def test_the_configuration_of_the_other_class_is_refused(l1, tmp_path: Path):
    config = nixl_l2.lmcache.NixlStoreL2AdapterConfig.from_dict(params(NAMES[1], tmp_path))
    with pytest.raises(ValueError, match="class_name"):
        nixl_l2.lmcache.NixlStoreDynamicL2Adapter(config, l1_memory_desc=l1.desc)


def test_plain_parameters_will_do(l1, tmp_path: Path):
    adapter = nixl_l2.lmcache.NixlStoreDynamicL2Adapter(params(NAMES[0], tmp_path), l1_memory_desc=l1.desc)
    adapter.close()


@pytest.mark.parametrize("name", NAMES)
def test_with_an_eviction_of_our_own_lmcaches_is_kept_off(open_host, name: str):
    host = open_host(name, eviction=EVICTION)
    assert not host.adapter.supports_global_eviction
    assert host.adapter.report_status()["own_eviction"] is True
    with pytest.raises(ValueError, match="twice"):
        host.adapter.register_listener(L2EvictionPolicy(None))


def test_noop_is_no_eviction(open_host):
    host = open_host(eviction={**EVICTION, "eviction_policy": "noop"})
    assert host.adapter.supports_global_eviction
    assert host.adapter.report_status()["own_eviction"] is False


def test_our_own_eviction_makes_room_at_once(open_host):
    host = open_host(max_capacity_gb=str(8 * PAGE / (1 << 30)), eviction=EVICTION)
    for number in range(10):
        assert host.fill(keys(4, cache_salt=str(number))) == 4 * PAGE
    assert host.adapter.get_usage().total_bytes_used <= 8 * PAGE


def test_without_lmcache_the_module_imports_and_says_what_is_missing():
    script = (
        "import sys\n"
        "sys.modules['lmcache'] = None\n"
        "import nixl_l2.lmcache\n"
        "try: nixl_l2.lmcache.NixlStoreL2Adapter\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert "NixlStoreL2Adapter is made of LMCache's classes" in done.stdout
    assert "Install LMCache" in done.stdout
