"""Ctrl-C answers within 100 ms, and a fork never hangs: however long, wide or slow the call, whatever the pool is doing."""

import os
import signal
import statistics
import subprocess
import sys
import time

import pytest

from fastloss.engine import backends

compiled = pytest.mark.skipif(backends.current().name != "cython", reason="Numba and Python are interrupted when a slab or a call is done")
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

ENDLESS = """
import time
import numpy as np
import fastloss as fl
def endless(dtype, value):
    return np.lib.stride_tricks.as_strided(np.full(1, value, dtype), (2**36,), (0,))
y, p = endless({dtype!r}, 1.0), endless({dtype!r}, 0.5)
slow = [f"tweedie_deviance:power={{1.1 + i / 1000}}" for i in range(300)]
fl.evaluate(slow, y[:5000], p[:5000])
print("go", flush=True)
try:
    {call}
except KeyboardInterrupt:
    print(time.monotonic(), flush=True)
"""
CALLS = {
    "one loss": ("float32", "fl.log_cosh(y, p)"),
    "one thread": ("float32", "fl.log_cosh(y, p, n_threads=1)"),
    "more threads than CPUs": ("float32", "fl.log_cosh(y, p, n_threads=4)"),
    "many slow losses": ("float64", "fl.evaluate(slow, y, p, n_threads=1)"),
    "copied pieces": ("float64", "fl.tweedie_deviance(np.broadcast_to(y[:2**17, None], (2**17, 2**15)), 0.5)"),
}


@compiled
@pytest.mark.parametrize("case", CALLS)
def test_ctrl_c(case):
    """From the signal to the KeyboardInterrupt, in a call that would take minutes. The median of some tries: others compute here, too."""
    dtype, call = CALLS[case]
    times = []
    for attempt in range(5):
        process = subprocess.Popen([sys.executable, "-c", ENDLESS.format(dtype=dtype, call=call)], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "go\n"
        time.sleep(0.2 + 0.004 * attempt)  # of no rhythm with the looking
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        try:
            output, _ = process.communicate(timeout=30)
        finally:
            process.kill()
        assert process.returncode == 0
        times.append(float(output) - sent)
    assert statistics.median(times) <= 0.1, times


FORKING = """
import os, signal, sys, threading, time
import numpy as np
import fastloss as fl
rng = np.random.default_rng(0)
y, p = rng.standard_normal((2, 30_000), np.float32)
want = fl.log_cosh(y, p, n_threads=2)

def threads():
    return len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else None

def child():
    before = threads()
    right = fl.log_cosh(y, p, n_threads=2) == want
    os._exit(0 if right and (before is None or threads() == before + 1) else 1)

def fail(why):  # and do not wait for threads
    print(why, file=sys.stderr, flush=True)
    os._exit(1)

def wait(child):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if os.waitstatus_to_exitcode(status):
                fail("the child's result is wrong")
            return
        time.sleep(0.0002)
    os.kill(child, signal.SIGKILL)
    fail("the child hangs")

def forks(times):
    for _ in range(times):
        pid = os.fork()
        if pid == 0:
            child()
        wait(pid)
"""
IDLE = "forks(1000)\nprint('done')"
BUSY = """
stop, wrong = False, []
def compute():
    while not stop:
        wrong.extend([1] * (fl.log_cosh(y, p, n_threads=2) != want))
{caller}
stop = True
wrong and fail('the parent is wrong')
print('done')
"""
# the pool works for another thread; for two; for the main thread, while another forks
BESIDE = "busy = threading.Thread(target=compute)\nbusy.start()\nforks(300)\nstop = True\nbusy.join()"
TWO = """
busy = [threading.Thread(target=compute) for _ in range(2)]
[one.start() for one in busy]
forks(300)
stop = True
[one.join() for one in busy]
"""
OTHER = """
def fork():
    global stop
    forks(300)
    stop = True
forking = threading.Thread(target=fork)
forking.start()
compute()
forking.join()
"""


@forks
@compiled
@pytest.mark.parametrize("program", [IDLE, BUSY.format(caller=BESIDE), BUSY.format(caller=TWO), BUSY.format(caller=OTHER)])
def test_forks_never_hang(program):
    """Children compute, with threads of their own, 1,000 times after the parent did and 900 times while it does."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKING + program], capture_output=True, text=True, timeout=300)
    assert done.stdout == "done\n", done.stderr


# A Python signal handler runs within the call, in its first thread; here it forks, and both processes go on with the call.
HANDLER = """
y = np.lib.stride_tricks.as_strided(np.full(1, 2.0), (400_000_000,), (0,))
children = []
def handler(*_):
    children.append(os.fork())
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    cost = fl.mse(y, 0.5, n_threads={threads})
except RuntimeError as error:
    assert "fork" in str(error)
    cost = None
if children == [0]:
    again = fl.mse(y[:100_000], 0.5, n_threads=2)
    os._exit(0 if again == 2.25 and cost == {child} else 1)
wait(*children)
assert cost == 2.25
print("done")
"""


@forks
@compiled
@pytest.mark.parametrize(("threads", "child"), [(1, 2.25), (2, None)])
def test_a_fork_within_a_call(threads, child):
    """Alone, the child has its result; with other threads it has not what they did, and says so instead of returning a part."""
    program = FORKING + HANDLER.format(threads=threads, child=child)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=120)
    assert done.stdout == "done\n", done.stderr
