"""Threads: callers side by side, and how many there are. Forks and Ctrl-C: test_interruptions.py."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import backends, threads


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


def test_set_num_threads():
    default = fl.get_num_threads()
    assert default == threads.default() == fl.info()["threads"]
    try:
        fl.set_num_threads(1)
        assert fl.get_num_threads() == threads.choose(None, 1e12) == fl.info()["threads"] == 1
        assert threads.choose(3, 1.0) == 3, "n_threads is taken at its word"
        fl.set_num_threads(np.int64(100_000))
        assert fl.get_num_threads() == threads.allowed(), "never more than there are CPUs"
        for wrong in (0, -1, 1.5, "2", True):
            with pytest.raises(ValueError, match=f"`n` must be a whole number from 1, or None for the default, got {wrong!r}"):
                fl.set_num_threads(wrong)
        assert fl.get_num_threads() == threads.allowed()
    finally:
        fl.set_num_threads(None)
    assert fl.get_num_threads() == default


# In each, fastloss is not used before the limit is set: that is when threadpoolctl looks for libraries.
LIMITED = """
{imports}
assert "numpy" not in sys.modules and "ctypes" not in sys.modules or "threadpoolctl" in sys.modules
import threadpoolctl
before = fl.get_num_threads()
with threadpoolctl.threadpool_limits(limits=1):
    print(fl.get_num_threads(), end=" ")
    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        print(fl.get_num_threads(), end=" ")
assert fl.get_num_threads() == before
for limits in ({{"fastloss": 1}}, {{"fastloss": 1, "blas": 2}}):
    with threadpoolctl.threadpool_limits(limits=limits):
        print(fl.get_num_threads(), end=" ")
with threadpoolctl.threadpool_limits(limits=1, user_api="openmp"):
    assert fl.get_num_threads() == before
(found,) = [library for library in threadpoolctl.threadpool_info() if library["user_api"] == "fastloss"]
print(found["num_threads"] == before, found["version"] == fl.__version__, len(sys.meta_path))
"""


@pytest.mark.skipif(backends.current().name != "cython", reason="threadpoolctl controls compiled libraries")
@pytest.mark.parametrize("imports", ["import sys, fastloss as fl", "import sys, threadpoolctl, fastloss as fl"])
def test_threadpoolctl(imports):
    """Limits hold, whichever is imported first; other APIs' limits are not ours; no finder of modules is left behind."""
    pytest.importorskip("threadpoolctl")
    bare = subprocess.run([sys.executable, "-c", "import sys; print(len(sys.meta_path))"], capture_output=True, text=True).stdout
    done = subprocess.run([sys.executable, "-c", LIMITED.format(imports=imports)], capture_output=True, text=True)
    assert done.stdout == f"1 1 1 1 True True {bare}", done.stderr


def test_threadpoolctl_is_not_imported_for_its_own_sake():
    code = "import sys, fastloss as fl, numpy as np; fl.mse(np.ones(9), np.ones(9)); print('threadpoolctl' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize("first", ["torch", "fastloss"])
def test_beside_torch(first):
    """torch's OpenMP and our threads in one process: call by call, and from two Python threads at once, both are right, whoever began."""
    pytest.importorskip("torch")
    code = f"""
import threading, {first}
import torch, fastloss as fl, numpy as np
torch.set_num_threads(2)
y, p = np.random.default_rng(0).standard_normal((2, 300_000))
calls = [lambda: fl.mse(y, p, n_threads=2), lambda: torch.nn.functional.mse_loss(torch.from_numpy(p), torch.from_numpy(y)).item()]
want = fl.mse(y, p, n_threads=1)
def check(times, calls):
    for _ in range(times):
        for call in calls:
            assert abs(call() - want) < 1e-12
check(100, calls)
wrong = []
threading.excepthook = wrong.append
both = [threading.Thread(target=check, args=(100, [call])) for call in calls]
[one.start() for one in both]
[one.join() for one in both]
assert not wrong
print("right")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout == "right\n", done.stderr
