"""The plugin as LMCache sees it: on a stand-in for LMCache, or with NIXL_L2_LMCACHE=real on LMCache itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

REAL = os.environ.get("NIXL_L2_LMCACHE") == "real"

if not REAL:
    sys.path.insert(0, str(Path(__file__).parent.parent / "lmcache_standin"))
    collect_ignore = ["real"]

from host import L1, Host, params  # noqa: E402 (LMCache has to be found first)

import nixl_l2.lmcache  # noqa: E402

#: Each adapter, by the name of its class.
ADAPTERS = ["NixlStoreDynamicL2Adapter", "NixlStoreL2Adapter"]


def pytest_report_header() -> list[str]:
    """What the run was of."""
    packages = ["lmcache", "nixl-cu13", "nixl-cu12", "torch"]
    found = [f"{name} {version(name)}" for name in packages if installed(name)]
    return ["on LMCache itself: " + ", ".join(found)] if REAL else ["on a stand-in for LMCache"]


def installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


@pytest.fixture
def l1() -> L1:
    return L1(16 << 20)


@pytest.fixture
def open_host(l1: L1, tmp_path: Path) -> Iterator[Callable[..., Host]]:
    """Opens an adapter as LMCache's loader does, on this test's directory; closes it at the end."""
    opened: list[Host] = []

    def open_one(name: str = ADAPTERS[0], named: bool = True, **changes: Any) -> Host:
        config = getattr(nixl_l2.lmcache, f"{name}Config").from_dict(params(name, tmp_path, **changes))
        opened.append(Host(getattr(nixl_l2.lmcache, name)(config, l1_memory_desc=l1.desc), l1))
        if named:
            opened[-1].adapter.set_backend_identity("plugin")
        return opened[-1]

    yield open_one
    for host in opened:
        host.close()


@pytest.fixture(params=ADAPTERS)
def host(request: pytest.FixtureRequest, open_host: Callable[..., Host]) -> Host:
    return open_host(request.param)
