"""Locks and threads in a forked child. Each test forks in a process of its own, which has no other threads."""

import os
import subprocess
import sys
import threading

import pytest

from seewhy.threads import ForkSafeLock, this_thread

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

HELD_ELSEWHERE = """
import os, threading
from seewhy.threads import ForkSafeLock, this_thread
lock, is_held, is_done = ForkSafeLock(), threading.Event(), threading.Event()
numbers, other = [], []
def hold():
    with lock.lock:
        other.append(this_thread())
        is_held.set()
        is_done.wait()
thread = threading.Thread(target=hold)
thread.start()
is_held.wait()
here = this_thread()
child = os.fork()
if child == 0:
    is_free = lock.lock.acquire(timeout=10)
    is_same = this_thread() is here
    newcomer = []
    def see():
        newcomer.append(this_thread())
    thread = threading.Thread(target=see)
    thread.start()
    thread.join()
    os._exit(0 if is_free and is_same and newcomer[0] is not other[0] else 1)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), lock.lock.acquire(blocking=False))
is_done.set()
"""

HELD_HERE = """
import os
from seewhy.threads import ForkSafeLock
lock = ForkSafeLock()
with lock.lock:
    before = lock.lock
    child = os.fork()
    if child == 0:
        with lock.lock:
            is_same = lock.lock is before
if child == 0:
    os._exit(0 if is_same else 1)
_, status = os.waitpid(child, 0)
print(os.waitstatus_to_exitcode(status), lock.lock is before)
"""


def output_of(code):
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.split()


def test_a_lock_that_another_thread_holds_is_open_in_the_child_and_closed_in_the_parent():
    assert output_of(HELD_ELSEWHERE) == ["0", "False"]


def test_a_lock_that_the_forking_thread_holds_is_held_in_the_child_too():
    assert output_of(HELD_HERE) == ["0", "True"]


def test_every_thread_has_one_object_of_its_own():
    found = []
    threads = [threading.Thread(target=lambda: found.append((this_thread(), this_thread()))) for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    assert all(first is second for first, second in found)
    assert len({id(first) for first, _ in [*found, (this_thread(), None)]}) == 4


def test_a_lock_is_reentrant_and_copied_open():
    lock = ForkSafeLock()
    with lock.lock, lock.lock:
        kind, arguments = lock.__reduce__()
    assert kind(*arguments).lock is not lock.lock
