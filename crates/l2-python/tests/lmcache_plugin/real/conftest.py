"""What only LMCache itself can be asked: its own NIXL adapter beside ours, and its StorageManager on ours."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from host import L1, Host, params
from lmcache.v1.distributed.config import parse_args
from lmcache.v1.distributed.l2_adapters.nixl_store_dynamic_l2_adapter import (
    DynamicNixlStoreL2Adapter,
    DynamicNixlStoreL2AdapterConfig,
)
from lmcache.v1.distributed.storage_manager import StorageManager
from server import BYTES, Server


@pytest.fixture
def open_theirs(l1: L1, tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Opens LMCache's own adapter with a file for each object, on the same directory as `open_host`."""
    opened: list[Host] = []

    def open_one(**changes: Any) -> Host:
        config = DynamicNixlStoreL2AdapterConfig.from_dict(params("Dynamic", tmp_path, **changes))
        opened.append(Host(DynamicNixlStoreL2Adapter(config, l1.desc), l1))
        return opened[-1]

    yield open_one
    for host in opened:
        host.close()


@pytest.fixture
def open_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts LMCache's StorageManager on one of our classes, its whole configuration parsed by LMCache."""
    opened: list[Server] = []

    def open_one(name: str, evicts: Any = None, serde: Any = None, layout: Any = BYTES, **changes: Any) -> Server:
        adapter = {"module_path": "nixl_l2.lmcache", "class_name": name}
        spec = {"type": "plugin", **adapter, "adapter_params": params(name, tmp_path, **changes)}
        spec |= {"eviction": evicts} if evicts else {}
        spec |= {"serde": serde} if serde else {}
        args = ["--l1-size-gb", "0.25", "--no-l1-use-lazy", "--eviction-policy", "LRU"]
        args += ["--l2-adapter", json.dumps(spec)]
        opened.append(Server(StorageManager(parse_args(args)), layout))
        return opened[-1]

    yield open_one
    for server in opened:
        server.close()


@pytest.fixture
def immutable() -> Iterator[Callable[[Path], None]]:
    """Makes a file one that nobody can remove, root included, until the test ends."""
    made: list[Path] = []

    def make(path: Path) -> None:
        try:
            subprocess.run(["chattr", "+i", str(path)], check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no file can be made immutable here: {getattr(error, 'stderr', None) or error}")
        made.append(path)

    yield make
    for path in made:
        subprocess.run(["chattr", "-i", str(path)], check=True)
