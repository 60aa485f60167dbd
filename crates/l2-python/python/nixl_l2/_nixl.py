"""Where NIXL's library is: with the wheel beside this package."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

_LIBRARY = "libnixl_capi.so"
_PACKAGES = ("nixl_cu12", "nixl_cu13")


def _beside(package_file: str | None, package: str) -> Path | None:
    """The directory of a wheel's libraries, from the file of its package."""
    if package_file is None:
        return None
    directory = Path(package_file).resolve().parent.parent / f".{package}.mesonpy.libs"
    return directory if (directory / _LIBRARY).is_file() else None


def imported() -> Path | None:
    """The directory of the NIXL whose Python bindings this process has imported: no second one can be opened beside it."""
    for package in _PACKAGES:
        found = _beside(getattr(sys.modules.get(package), "__file__", None), package)
        if found is not None:
            return found
    return None


def installed() -> Path | None:
    """The directory of the NIXL that is installed beside this package."""
    for package in _PACKAGES:
        try:
            spec = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            continue
        found = _beside(spec.origin if spec is not None else None, package)
        if found is not None:
            return found
    return None


def directory() -> str | None:
    """The directory to open, or None where the environment is to say it."""
    found = imported()
    if found is None and not os.environ.get("NIXL_LIB_DIR"):
        found = installed()
    return None if found is None else str(found)
