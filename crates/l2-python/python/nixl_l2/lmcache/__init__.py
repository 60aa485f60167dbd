"""LMCache's two NIXL adapters on nixl-l2, for LMCache's adapter type ``plugin``.

    --l2-adapter '{"type": "plugin", "module_path": "nixl_l2.lmcache",
                   "class_name": "NixlStoreDynamicL2Adapter",
                   "adapter_params": {"backend": "POSIX", "backend_params": {...}}}'

``adapter_params`` is what stood beside ``"type": "nixl_store_dynamic"`` (or ``"nixl_store"``, with
``NixlStoreL2Adapter``) before. docs/lmcache.md has the rest.

The classes are made of LMCache's base classes, so LMCache is imported when one is first asked for, not before: this
module itself imports where there is none, and says then what is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._adapter import NixlStoreDynamicL2Adapter, NixlStoreL2Adapter
    from ._config import NixlStoreDynamicL2AdapterConfig, NixlStoreL2AdapterConfig

__all__ = [
    "NixlStoreDynamicL2Adapter",
    "NixlStoreDynamicL2AdapterConfig",
    "NixlStoreL2Adapter",
    "NixlStoreL2AdapterConfig",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from . import _adapter, _config
    except ImportError as error:
        raise ImportError(
            f"{__name__}.{name} is made of LMCache's classes, and {error}. Install LMCache into this Python (nixl-l2 is"
            " tried with lmcache 0.5.6); without it, nixl_l2.Adapter offers the same adapters.",
            name=error.name,
        ) from error
    module = _config if name.endswith("Config") else _adapter
    return globals().setdefault(name, getattr(module, name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
