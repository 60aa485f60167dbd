"""The package itself: its tour runs, every name has a docstring, and the stubs say what is there."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import nixl_l2

_DOCS = Path(__file__).parents[3] / "docs"


def test_the_tour_runs(tmp_path: Path) -> None:
    globs = {"directory": str(tmp_path)}
    failed, tried = doctest.testmod(nixl_l2, extraglobs=globs)
    assert tried > 5 and failed == 0


def test_the_page_runs(tmp_path: Path) -> None:
    globs = {"directory": str(tmp_path)}
    failed, tried = doctest.testfile(str(_DOCS / "python.md"), module_relative=False, globs=globs)
    assert tried > 5 and failed == 0


def test_every_public_name_says_what_it_is() -> None:
    bare = []
    for name in nixl_l2.__all__:
        found = getattr(nixl_l2, name)
        if not inspect.isclass(found):
            continue
        members = [f"{name}.{part}" for part, member in vars(found).items() if not part.startswith("_")
                   and (callable(member) or inspect.isdatadescriptor(member)) and not inspect.getdoc(member)]
        bare += members + ([] if inspect.getdoc(found) else [name])
    for part, member in inspect.getmembers(nixl_l2.Adapter):
        if not part.startswith("_") and not inspect.getdoc(member):
            bare.append(f"Adapter.{part}")
    assert bare == []


@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
def test_the_stubs_say_what_is_there(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed.txt"
    # Python shows this name since 3.12.
    allowed.write_text("nixl_l2._native.L1Memory.__buffer__\n")
    for command in (
        ["mypy.stubtest", "nixl_l2._native", "--allowlist", str(allowed), "--ignore-unused-allowlist"],
        # Without `nixl_l2.lmcache`, which is for who has LMCache.
        ["mypy", "--strict", "--cache-dir", str(tmp_path), "-m", "nixl_l2"],
    ):
        done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
