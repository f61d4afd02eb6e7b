"""The pool: no hang after fork, callers side by side, interruptible, and counts that are honoured."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import threads

Y, P = np.zeros(300_000, np.float32), np.ones(300_000, np.float32)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_computes():
    """A child of a process that has threads of the pool makes its own, however often."""
    assert fl.mse(Y, P, n_threads=2) == 1.0
    for _ in range(40):
        child = os.fork()
        if child == 0:
            os._exit(0 if fl.mse(Y, P, n_threads=2) == 1.0 else 1)
        for _ in range(1000):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            time.sleep(0.01)
        else:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        assert os.waitstatus_to_exitcode(status) == 0


def test_callers_side_by_side():
    """Python threads that call at the same time get their own right answers."""
    rng = np.random.default_rng(0)
    data = [rng.standard_normal(200_000) for _ in range(6)]
    want = [fl.mse(y, -y) for y in data]
    wrong = []

    def caller(i):
        wrong.extend(i for _ in range(30) if fl.mse(data[i], -data[i], n_threads=1 + i % 3) != want[i])

    callers = [threading.Thread(target=caller, args=(i,)) for i in range(6)]
    for one in callers:
        one.start()
    for one in callers:
        one.join()
    assert not wrong


def test_interrupt():
    """Ctrl-C in the middle of a long computation is a KeyboardInterrupt, and soon."""
    code = (
        "import numpy as np, fastloss as fl, time, sys\n"
        "y = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (2**36,), (0,))\n"
        "fl.log_cosh(y[:9], np.float32(1.0))\n"  # imports and compiles what there is to import and compile
        "print('go', flush=True)\n"
        "try:\n    fl.log_cosh(y, np.float32(1.0))\n"
        "except KeyboardInterrupt:\n    print('interrupted', flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "go\n"
    time.sleep(0.5)
    sent = time.perf_counter()
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert output == "interrupted\n" and process.returncode == 0
    assert time.perf_counter() - sent < 10, "the machine may be slow, but the data would take minutes"


def test_counts(monkeypatch):
    assert 1 <= threads.default() <= threads.allowed() <= (os.cpu_count() or 1)
    assert threads.choose(None, 10.0) == 1, "little work is done by one"
    assert threads.choose(None, 1e12) == threads.default()
    assert threads.choose(16, 1.0) == 16 and threads.choose(np.int64(3), 1.0) == 3
    for name in ("FASTLOSS_NUM_THREADS", "OMP_NUM_THREADS"):
        threads.default.cache_clear()
        monkeypatch.setenv(name, "1")
        assert threads.default() == 1
        monkeypatch.delenv(name)
    threads.default.cache_clear()


def test_affinity_is_respected():
    if not hasattr(os, "sched_setaffinity"):
        assert threads.allowed() >= 1
        return
    code = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); import fastloss as fl; print(fl.info()['threads'])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
