"""KV cache on storage for LLM servers, through NVIDIA's NIXL.

An LLM server keeps the attention keys and values (KV) of past prompts in memory (L1). An ``Adapter`` keeps far more of them on
storage (L2): files, or objects of a bucket. Bytes move between the two through NIXL and its storage plugins.

>>> import nixl_l2
>>> memory = nixl_l2.L1Memory.allocate(64 << 20)
>>> config = {
...     "type": "nixl_store_dynamic",
...     "backend": "POSIX",
...     "backend_params": {"file_path": directory, "use_direct_io": "false", "max_capacity_gb": "10"},
... }
>>> key = nixl_l2.ObjectKey("meta-llama/Llama-3.1-8B", 0, 0, "", bytes(32))
>>> with nixl_l2.Adapter(config, memory) as l2:
...     memory.view()[:4] = b"chat"
...     stored = l2.wait_store(l2.submit_store([key], [0], [4096]), timeout=30)
...     lookup = l2.submit_lookup([key])
...     hits = l2.wait_lookup(lookup, timeout=30).prefix_hits
...     loaded = l2.wait_load(l2.submit_load([key], [8192], [4096]), timeout=30)
...     l2.unlock_task(lookup, [key])
>>> stored.bytes, hits, loaded.ok, bytes(memory.view()[8192:8196])
(4096, 1, True, b'chat')

NIXL itself is a package of its own: ``pip install nixl-cu12`` (or ``nixl-cu13``). The limits are in docs/python.md.
"""

# Now, and not by the one thread of several that needs them first: a fork meanwhile would wait for that thread for ever.
import json as _json  # noqa: F401

from . import _buffers as _buffers
from ._adapter import Adapter
from ._errors import (
    ClosedError,
    ConfigError,
    ForkedError,
    InvalidKeyError,
    MemoryRangeError,
    NixlL2Error,
    NixlMissingError,
    StorageError,
    TaskTimeoutError,
    UnknownTaskError,
)
from ._native import (
    DeleteReport,
    L1Memory,
    LoadReport,
    LookupReport,
    ObjectKey,
    StoreReport,
    Usage,
    __version__,
    check_config,
    config_help,
)

__all__ = [
    "Adapter",
    "ClosedError",
    "ConfigError",
    "DeleteReport",
    "ForkedError",
    "InvalidKeyError",
    "L1Memory",
    "LoadReport",
    "LookupReport",
    "MemoryRangeError",
    "NixlL2Error",
    "NixlMissingError",
    "ObjectKey",
    "StorageError",
    "StoreReport",
    "TaskTimeoutError",
    "UnknownTaskError",
    "Usage",
    "__version__",
    "check_config",
    "config_help",
]
