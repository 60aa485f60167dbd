"""Forks, the end of the interpreter, signals, and where NIXL is found: each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import LIMIT, program

#: Interpreters that end under load. Each takes half a second.
ENDS = int(os.environ.get("NIXL_L2_TEST_ENDS", "6"))

_LOAD = """
memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
adapter = nixl_l2.Adapter(config_of(KIND, directory), memory, events=True)
opened = Open({}, adapter, memory)
opened.store(list(range(SLOTS)))
keys = [key(number) for number in range(SLOTS)]
offsets, lengths = opened.places(SLOTS)
went = threading.Barrier(5)

def work(body):
    def run(adapter=adapter):
        body(adapter)
        went.wait()
        try:
            while True:
                body(adapter)
        except nixl_l2.ClosedError:
            pass
    threading.Thread(target=run, daemon=True).start()

work(lambda adapter: adapter.submit_load(keys, offsets, lengths))
work(lambda adapter: adapter.wait_lookup(adapter.submit_lookup(keys), 60))
work(lambda adapter: adapter.wait_store(adapter.submit_store([key(time.monotonic_ns())], [0], [OBJECT]), 60))
work(lambda adapter: adapter.take_events(0.01))
threading.Thread(target=adapter.take_events, args=(600,), daemon=True).start()
went.wait()
"""

_ENDINGS = {
    "returns": "",
    "exits": "sys.exit(0)",
    "drops everything": "del adapter, opened, memory",
    "raises": "sys.excepthook = lambda *_: None\nraise SystemExit(0)",
    "closes": "adapter.close()",
}


@pytest.mark.parametrize("ending", _ENDINGS)
@pytest.mark.parametrize("kind", ["nixl_store_dynamic", "nixl_store"])
def test_an_interpreter_that_ends_under_load_ends_well(kind: str, ending: str, tmp_path: Path) -> None:
    for round in range(max(1, ENDS // len(_ENDINGS))):
        done = program(_LOAD.replace("KIND", repr(kind)) + _ENDINGS[ending], tmp_path / str(round))
        assert "Traceback" not in done.stderr and "Fatal" not in done.stderr, done.stderr


_FORK = """
memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
adapter = nixl_l2.Adapter(config_of(KIND, directory), memory, events=True)
opened = Open({}, adapter, memory)
assert opened.store(list(range(SLOTS))).ok
keys = [key(number) for number in range(SLOTS)]
offsets, lengths = opened.places(SLOTS)
stop = threading.Event()
def load():
    while not stop.is_set():
        adapter.wait_load(adapter.submit_load(keys, offsets, lengths), 60)
thread = threading.Thread(target=load)
thread.start()

def refused(call):
    try:
        call()
    except nixl_l2.ForkedError as error:
        assert "forked" in str(error), error
    else:
        raise AssertionError("it should have been refused")

for round in range(ROUNDS):
    child = os.fork()
    if child == 0:
        for call in (
            lambda: adapter.submit_store(keys, offsets, lengths),
            lambda: adapter.submit_lookup(keys),
            lambda: adapter.submit_load(keys, offsets, lengths),
            lambda: adapter.unlock(keys),
            lambda: adapter.delete(keys),
            lambda: adapter.take_stores(),
            lambda: adapter.take_lookup(0),
            lambda: adapter.wait_load(0, 60),
            lambda: adapter.take_events(60),
            lambda: adapter.list_keys(),
            lambda: adapter.usage(),
            lambda: adapter.status(),
            lambda: nixl_l2.Adapter(config_of(KIND, directory / "child"), memory),
        ):
            refused(call)
        started = time.monotonic()
        adapter.close()
        del adapter, opened
        gc.collect()
        # Ends as any interpreter does, exit handlers included.
        sys.exit(7)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7, status
stop.set()
thread.join()
assert opened.load(keys).ok
assert opened.slot(5) == content(5)
assert adapter.status()["is_healthy"]
adapter.close()
"""


@pytest.mark.parametrize("kind", ["nixl_store_dynamic", "nixl_store"])
def test_a_forked_child_is_told_and_harms_nothing(kind: str, tmp_path: Path) -> None:
    program(_FORK.replace("KIND", repr(kind)).replace("ROUNDS", "5"), tmp_path)


def test_a_child_that_is_forked_before_nixl_is_opened_opens_it(tmp_path: Path) -> None:
    program(
        """
memory = nixl_l2.L1Memory.allocate(SLOTS * OBJECT)
child = os.fork()
config = config_of("nixl_store_dynamic", directory / str(bool(child)))
with nixl_l2.Adapter(config, memory) as adapter:
    assert Open(config, adapter, memory).store([1]).ok
if child:
    assert os.waitpid(child, 0)[1] == 0
""",
        tmp_path,
    )


def test_a_wait_hears_signals(tmp_path: Path) -> None:
    program(
        """
import signal
memory = nixl_l2.L1Memory.allocate(4096)
adapter = nixl_l2.Adapter(config_of("nixl_store_dynamic", directory), memory, events=True)
signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(InterruptedError("a signal")))
signal.setitimer(signal.ITIMER_REAL, 0.05)
try:
    adapter.take_events(600)
except InterruptedError:
    pass
else:
    raise AssertionError("it should have been interrupted")
""",
        tmp_path,
    )


def test_closing_ends_every_wait(tmp_path: Path) -> None:
    program(
        """
memory = nixl_l2.L1Memory.allocate(4096)
adapter = nixl_l2.Adapter(config_of("nixl_store_dynamic", directory), memory, events=True)
waiter = threading.Thread(target=adapter.take_events, args=(600,))
waiter.start()
adapter.close()
waiter.join(60)
assert not waiter.is_alive()
""",
        tmp_path,
    )


def _bare(source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Without the environment's own word on where NIXL is."""
    names = ("NIXL_L2_SETUP_DIR", "NIXL_LIB_DIR", "NIXL_PREFIX", "LD_LIBRARY_PATH")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=LIMIT, env=kept | environment
    )


def test_nixl_is_found_in_its_wheel() -> None:
    done = _bare("from nixl_l2 import _native, _nixl; print(_native.load_nixl(_nixl.directory(), True))")
    assert done.returncode == 0, done.stderr
    assert ".nixl_cu1" in done.stdout and done.stdout.strip().endswith("libnixl_capi.so")


def test_the_nixl_whose_bindings_are_imported_comes_first(tmp_path: Path) -> None:
    library = tmp_path / ".nixl_cu13.mesonpy.libs"
    library.mkdir()
    (library / "libnixl_capi.so").write_bytes(b"")
    (tmp_path / "nixl_cu13").mkdir()
    (tmp_path / "nixl_cu13" / "__init__.py").write_text("")
    source = "from nixl_l2 import _nixl; print(_nixl.directory())"
    before = _bare(source, PYTHONPATH=str(tmp_path))
    after = _bare("import nixl_cu13; " + source, PYTHONPATH=str(tmp_path))
    assert before.stdout.strip() != str(library)
    assert after.stdout.strip() == str(library)
    named = _bare(source, NIXL_LIB_DIR="/elsewhere")
    assert named.stdout.strip() == "None"


def test_a_missing_nixl_is_told_with_what_installs_it() -> None:
    source = """
import nixl_l2
from nixl_l2 import _nixl
_nixl.installed = lambda: None
try:
    nixl_l2.Adapter({}, nixl_l2.L1Memory.allocate(4096))
except nixl_l2.NixlMissingError as error:
    assert "pip install nixl-cu12" in str(error) and "\\n" not in str(error), error
    assert isinstance(error, ImportError)
else:
    raise AssertionError("it was found")
"""
    done = _bare(source, PATH="/nowhere", NIXL_PREFIX="/nowhere")
    assert done.returncode == 0, done.stderr


def test_the_package_imports_nothing_that_is_not_pythons_own() -> None:
    done = _bare(
        "import sys; before = set(sys.modules); import nixl_l2; "
        "print([name for name in set(sys.modules) - before if name.split('.')[0] not in sys.stdlib_module_names "
        "and name.split('.')[0] != 'nixl_l2'])"
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_what_is_logged_can_be_read(tmp_path: Path) -> None:
    source = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import nixl_l2
from helpers import *
nixl_l2.Adapter(config_of("nixl_store_dynamic", Path({str(tmp_path)!r})), nixl_l2.L1Memory.allocate(4096)).close()
"""
    assert "opened a cache directory" in _bare(source, NIXL_L2_LOG="debug").stderr
    assert _bare(source).stderr == ""
