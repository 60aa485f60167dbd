"""Both adapters on real files, and the line that the tests end with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import OBJECT, SLOTS, Open, config_of

import nixl_l2


@pytest.fixture(params=["nixl_store_dynamic", "nixl_store"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def opened(kind: str, tmp_path: Path) -> Iterator[Open]:
    memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
    config = config_of(kind, tmp_path / "cache")
    with nixl_l2.Adapter(config, memory, events=True) as adapter:
        yield Open(config, adapter, memory)


@pytest.fixture
def dynamic(tmp_path: Path) -> Iterator[Open]:
    memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
    config = config_of("nixl_store_dynamic", tmp_path / "cache")
    with nixl_l2.Adapter(config, memory) as adapter:
        yield Open(config, adapter, memory)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line as Rust's tests end with, which `cargo xtask ci` counts."""
    count = {name: len(terminalreporter.getreports(name)) for name in ("passed", "failed", "error", "skipped")}
    failed = count["failed"] + count["error"]
    terminalreporter.write_line(
        f"test result: {'FAILED' if failed else 'ok'}. {count['passed']} passed; {failed} failed; "
        f"{count['skipped']} ignored; 0 measured; 0 filtered out"
    )
