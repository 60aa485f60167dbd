"""A server that ends without closing anything, with stores and loads under way, ends without a crash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from host import params

PROGRAM = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
from host import keys
from lmcache.v1.distributed.config import parse_args
from lmcache.v1.distributed.storage_manager import StorageManager
from server import Server, settle
server = Server(StorageManager(parse_args(json.loads(sys.argv[2]))))
server.write(keys(60))
settle(lambda: server.used() > 0)
task = server.adapter.submit_lookup_and_lock_task(keys(60), {})
print("under way")
END
"""


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise RuntimeError('on purpose')"])
@pytest.mark.parametrize("name", ["NixlStoreDynamicL2Adapter", "NixlStoreL2Adapter"])
def test_a_server_that_just_ends_does_not_crash(tmp_path: Path, name: str, end: str):
    here = Path(__file__).parent
    adapter = {"module_path": "nixl_l2.lmcache", "class_name": name, "adapter_params": params(name, tmp_path)}
    args = ["--l1-size-gb", "0.25", "--no-l1-use-lazy", "--eviction-policy", "LRU"]
    args += ["--l2-adapter", json.dumps({"type": "plugin", **adapter})]
    source = PROGRAM.replace("END", end)
    paths = json.dumps([str(here), str(here.parent)])
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", source, paths, json.dumps(args)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "LMCACHE_LOG_LEVEL": "WARNING"},
    )
    assert "under way" in done.stdout
    assert done.returncode == {"": 0, "sys.exit(3)": 3}.get(end, 1), done.stderr
    assert "Fatal Python error" not in done.stderr
