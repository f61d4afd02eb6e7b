"""What `fastloss bench` measures with: yardsticks that read every byte, rivals that give our results, checks that bite."""

import math

import numpy as np
import pytest

from fastloss.losses import REGISTRY
from fastloss.measuring import cases, ours, rivals, roofline, verify
from fastloss.measuring.timing import Timing
from tests.test_bench import settled  # noqa: F401 - a fixture for every test


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
    monkeypatch.setattr(rivals.library("numpy"), "threads", lambda: 77)
    with pytest.raises(verify.MismatchError, match="numpy would use 77 threads, not 1"):
        verify.check_threads("numpy")


@pytest.mark.parametrize("name", [name for name in rivals.MODULES if name != "torch.compile"])
def test_every_rival_gives_our_results(name):
    if name in rivals.missing([name]):
        pytest.skip(rivals.missing([name])[name])
    few = 2 if name in ("numba", "jax") else None  # they compile each; benchmarks in smoke mode try them all
    checked = 0
    for output in rivals.OUTPUTS:
        for loss, prepare in list(rivals.losses_of(name, output).items())[:few]:
            for dtype in cases.DTYPES[: few and 1]:
                y, p = cases.data(loss, 100, dtype)
                verify.check(output, loss, name, y, p, prepare(y, p)(), ours.prepare(output, loss, y, p)())
                checked += 1
    assert checked >= (6 if few else 50)


def test_every_loss_has_data_in_its_domain_and_a_rival():
    for loss in REGISTRY:
        assert "numpy" in rivals.row("cost", loss)
        for dtype in ("float32", "float64", "float16"):
            assert math.isfinite(ours.prepare("cost", loss, *cases.data(loss, 1000, dtype))())


def test_timings_that_are_none_are_refused():
    good = {"minimum": 1e-6, "median": 2e-6, "readings": 5, "calls": 3}
    assert Timing.from_dict(good).as_dict() == good
    for bad in ({"minimum": 0.0}, {"median": 1e-7}, {"median": float("nan")}, {"minimum": "fast"}, {"calls": None}):
        with pytest.raises((ValueError, TypeError)):
            Timing.from_dict(good | bad)
