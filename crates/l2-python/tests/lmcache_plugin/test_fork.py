"""A child of a server, forked while a listener is being told, ends: it takes no lock that nobody gives back there."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable

from host import LIMIT, PAGE, Host, Recorder, key, keys


class Blocking(Recorder):
    """Is told of a deletion until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.told_of_one, self.go_on = threading.Event(), threading.Event()

    def on_l2_keys_deleted(self, keys: list) -> None:
        super().on_l2_keys_deleted(keys)
        self.told_of_one.set()
        self.go_on.wait(LIMIT)


def in_child(work: Callable[[], None]) -> int:
    """What a fork that does this ends with: 0 if it raises nothing."""
    child = os.fork()
    if child == 0:
        # What hangs is ended, and seen by the status.
        signal.alarm(int(LIMIT / 2))
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_fork_closes_while_a_listener_of_the_parent_is_being_told(host: Host):
    host.fill(keys(2))
    listener = Blocking()
    host.adapter.register_listener(listener)
    deletes = threading.Thread(target=lambda: host.adapter.delete([key(0)]))
    deletes.start()
    assert listener.told_of_one.wait(LIMIT)

    def work() -> None:
        host.adapter._teller.tell()
        host.adapter._teller.accessed(keys(1))
        host.adapter.register_listener(Recorder())
        host.adapter.delete(keys(1))
        host.adapter.close()
        # As at the interpreter's end.
        host.adapter._teller._close()

    try:
        assert in_child(work) == 0
    finally:
        listener.go_on.set()
        deletes.join()
    # The parent's goes on.
    assert host.fill([key(5)]) == PAGE
    assert host.adapter.report_status()["is_healthy"]


def test_a_fork_of_an_idle_adapter_closes_nothing_of_the_parents(host: Host):
    host.fill(keys(2))
    assert in_child(host.adapter.close) == 0
    assert host.holds(keys(2)) == [True] * 2
