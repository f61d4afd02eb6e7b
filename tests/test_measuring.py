"""What `fastloss bench` measures with: yardsticks that read every byte, rivals that give our results, checks that bite."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastloss.losses import REGISTRY
from fastloss.measuring import cases, environment, ours, rivals, roofline, verify
from fastloss.measuring.timing import Timing
from tests.test_bench import settled  # noqa: F401 - a fixture for every test

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.parametrize("n", [1, 3, 8])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_yardsticks_read_and_write_every_byte_of_any_size(n, dtype):
    arrays, word = [np.zeros(n, dtype) for _ in range(2)], f"u{np.dtype(dtype).itemsize}"
    for call in roofline.read(arrays).values():
        assert call() == 0
        for array in arrays:
            for i in range(n):
                array.view(word)[i] = 1
                assert call() > 0
                array[i] = 0
    for count in (1, 2, 3):
        outputs = [np.ones(n, dtype) for _ in range(count)]
        for call in roofline.read_write(arrays, outputs).values():
            call()
            assert not any(output.any() for output in outputs)


def test_a_wrong_gradient_is_refused(monkeypatch):
    prepares = rivals.library("numpy").PREPARE["cost_gradient"]
    right = prepares["huber"]

    def almost(y, p):
        call = right(y, p)

        def wrong():
            cost, gradient = call()
            gradient[5] += 1e-3
            return cost, gradient

        return wrong

    y, p = cases.data("huber", 64, "float32")
    result = ours.prepare("cost_gradient", "huber", y, p)()
    verify.check("cost_gradient", "huber", "numpy", y, p, right(y, p)(), result)
    with pytest.raises(verify.MismatchError, match="at 5"):
        verify.check("cost_gradient", "huber", "numpy", y, p, almost(y, p)(), result)


def test_a_rival_on_other_threads_is_refused(monkeypatch):
    pytest.importorskip("numexpr")
    monkeypatch.setattr(rivals.library("numexpr"), "threads", lambda: 77)
    with pytest.raises(verify.MismatchError, match="numexpr would use 77 threads, not "):
        verify.check_threads("numexpr", "huber")


def test_who_has_one_thread_whatever_it_is_told():
    """All of NumPy, and of scikit-learn what is a metric: NumPy after checks."""
    for loss in REGISTRY:
        assert rivals.on_one_thread("numpy", loss)
    assert not hasattr(rivals.library("numpy"), "threads"), "there is nothing to ask it"
    pytest.importorskip("sklearn")
    found = {loss for loss in rivals.losses_of("sklearn", "cost") if rivals.on_one_thread("sklearn", loss)}
    assert found == set(rivals.losses_of("sklearn", "cost")) - set(rivals.library("sklearn").PRIVATE)
    assert "squared_error" in found and "huber" not in found


ASKED = """
import os
from fastloss.measuring import environment, verify
count = environment.settle(2)
os.environ["OMP_NUM_THREADS"] = "1"  # what another would have to do before
from fastloss.measuring import rivals
found = []
for loss in ("huber", "squared_error"):
    try:
        verify.check_threads("sklearn", loss)
        found.append("as told")
    except verify.MismatchError as error:
        found.append(str(error))
print("; ".join(found))
"""


@pytest.mark.skipif(environment.engine.allowed() < 2, reason="one thread is all there is")
def test_scikit_learn_is_asked_for_its_threads():
    """Where its OpenMP was set up for another number, its losses are refused, and its metrics are not."""
    pytest.importorskip("sklearn")
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True, cwd=REPOSITORY, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "sklearn would use 1 threads, not 2, and cannot be told otherwise in this process; as told"


RIVAL = """
import sys
from fastloss.measuring import environment
environment.settle()
from tests.test_measuring import check_rival
check_rival(sys.argv[1])
"""


def check_rival(name):
    """Print how many of a rival's results were ours, or why there is no such rival here."""
    if name in rivals.missing([name]):
        print("missing:", rivals.missing([name])[name])
        return
    few = 2 if name in ("numba", "jax") else None  # they compile each; benchmarks in smoke mode try them all
    checked = 0
    for output in rivals.OUTPUTS:
        for loss, prepare in list(rivals.losses_of(name, output).items())[:few]:
            for dtype in cases.DTYPES[: few and 1]:
                y, p = cases.data(loss, 100, dtype)
                verify.check(output, loss, name, y, p, prepare(y, p)(), ours.prepare(output, loss, y, p)())
                checked += 1
    print("checked:", checked)


@pytest.mark.parametrize("name", [name for name in rivals.MODULES if name != "torch.compile"])
def test_every_rival_gives_our_results(name):
    """In a process of its own: these libraries leave threads and hooks (jax warns of every fork) that other tests would meet."""
    done = subprocess.run([sys.executable, "-c", RIVAL, name], capture_output=True, text=True, cwd=REPOSITORY, timeout=300)
    assert done.returncode == 0, done.stderr
    what, _, found = done.stdout.splitlines()[-1].partition(": ")
    if what == "missing":
        pytest.skip(found)
    assert what == "checked" and int(found) >= (6 if name in ("numba", "jax") else 50)


def test_every_loss_has_data_in_its_domain_and_a_rival():
    for loss in REGISTRY:
        assert loss in rivals.losses_of("numpy", "cost")
        for dtype in ("float32", "float64", "float16"):
            assert math.isfinite(ours.prepare("cost", loss, *cases.data(loss, 1000, dtype))())


def test_timings_that_are_none_are_refused():
    good = {"minimum": 1e-6, "median": 2e-6, "readings": 5, "calls": 3}
    assert Timing.from_dict(good).as_dict() == good
    for bad in ({"minimum": 0.0}, {"median": 1e-7}, {"median": float("nan")}, {"minimum": "fast"}, {"calls": None}):
        with pytest.raises((ValueError, TypeError)):
            Timing.from_dict(good | bad)
