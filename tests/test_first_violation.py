"""One rule says which bad value is reported: the smallest index; there, a weight, then the losses in order, y before p. On every
backend, for any threads, addresses and calls. And what is reported is what the caller gave."""

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import backends, state
from fastloss.engine.numba_backend import NumbaBackend
from fastloss.engine.python_backend import PythonBackend

BACKENDS = pytest.mark.parametrize("backend", [None, NumbaBackend, PythonBackend], ids=["default", "numba", "python"], indirect=True)
LOG_LOSS, HINGE = "log_loss", "hinge"


@pytest.fixture
def backend(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(backends, "current", request.param)
    state._question.cache_clear()  # it keeps losses, and these the kernels that they are bound to
    yield request.param
    state._question.cache_clear()


def fresh(name):
    """A configured loss that has no kernels bound yet."""
    return type(fl.get(name))()


def at_offset(values, offset, dtype):
    """The values as an aligned array that begins so many elements after a cache line."""
    room = np.empty(len(values) + 128, dtype)
    skip = -room.ctypes.data % 64 // room.itemsize + offset
    array = room[skip : skip + len(values)]
    array[:] = values
    return array


def found(call):
    """(loss, argument, value, index) of the error that a call raises."""
    with pytest.raises(fl.InputError) as caught:
        call()
    return caught.value.loss, caught.value.argument, caught.value.value, caught.value.index


def calls(names, y, p, w):
    """Every way to compute."""
    losses = [fresh(name) for name in names]
    for threads in (None, 1, 3):
        if len(names) == 1:
            loss = fresh(names[0])
            yield lambda loss=loss, t=threads: loss(y, p, w, n_threads=t)
            yield lambda loss=loss, t=threads: loss.loss_gradient(y, p, w, n_threads=t)
            yield lambda loss=loss, t=threads: loss.gradient(y, p, w, gradient_out=np.empty(len(y)), n_threads=t)
            yield lambda loss=loss, t=threads: loss.cost_gradient(y, p, w, n_threads=t)
        yield lambda t=threads: fl.evaluate(losses, y, p, w, n_threads=t)
        yield lambda t=threads: fl.State(losses).update(y, p, w, n_threads=t)


# names of losses, size, {(argument, index): bad value}, what is reported
RULES = {
    "y before a weight": ([HINGE], 1000, {("y", 3): 0.0, ("w", 252): -1.0}, (HINGE, "y_true", 0.0, 3)),
    "a weight before y": ([HINGE], 1000, {("y", 252): 0.0, ("w", 3): -1.0}, (None, "sample_weight", -1.0, 3)),
    "p before y": ([LOG_LOSS], 1000, {("y", 255): 3.0, ("p", 254): 2.0}, (LOG_LOSS, "y_pred", 2.0, 254)),
    "far apart": ([LOG_LOSS], 40_000, {("w", 39_000): np.inf, ("y", 20_001): 3.0, ("p", 20_000): 2.0}, (LOG_LOSS, "y_pred", 2.0, 20_000)),
    "a weight at the same index": ([LOG_LOSS], 1000, {("y", 7): 3.0, ("p", 7): 2.0, ("w", 7): -1.0}, (None, "sample_weight", -1.0, 7)),
    "y at the same index": ([LOG_LOSS], 1000, {("y", 7): 3.0, ("p", 7): 2.0}, (LOG_LOSS, "y_true", 3.0, 7)),
    "the second loss": (["mse", HINGE, LOG_LOSS], 1000, {("p", 9): 2.0, ("y", 8): 0.5}, (HINGE, "y_true", 0.5, 8)),
    "the last loss": (["mse", HINGE, LOG_LOSS], 1000, {("p", 6): 2.0, ("y", 8): 0.5}, (LOG_LOSS, "y_pred", 2.0, 6)),
    "the first of losses": ([HINGE, LOG_LOSS], 1000, {("p", 6): 2.0, ("y", 6): 0.5}, (HINGE, "y_true", 0.5, 6)),
    "p of the first loss": ([LOG_LOSS, HINGE], 1000, {("p", 6): 2.0, ("y", 6): 0.5}, (LOG_LOSS, "y_pred", 2.0, 6)),
}


@BACKENDS
@pytest.mark.parametrize("name", RULES)
def test_the_rule(name, backend):
    names, n, bad, expected = RULES[name]
    values = {"y": np.ones(n), "p": np.full(n, 0.5), "w": np.ones(n)}
    for (argument, index), value in bad.items():
        values[argument][index] = value
    for offset in (0, 1, 5) if backend is None else (0,):
        y, p, w = (at_offset(values[argument], offset, np.float64) for argument in "ypw")
        for call in calls(names, y, p, w):
            assert found(call) == expected
        if not any(argument == "w" for argument, _ in bad):
            for call in calls(names, y, p, None):
                assert found(call) == expected


@BACKENDS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n, index", [(10, 1), (3000, 1100)])
def test_the_reported_value_is_the_callers_though_outputs_lie_over_it(n, index, dtype, backend):
    loss = fresh("hinge")
    y, p, w = np.ones(n, dtype), np.full(n, 0.5, dtype), np.ones(n)
    y[index] = 0.0
    place = y.copy()
    assert found(lambda: loss.loss(place, p, w, loss_out=place)) == ("hinge", "y_true", 0.0, index)
    assert place[index] == 0.0
    place = p.copy()
    assert found(lambda: loss.loss_gradient(y, place, w, gradient_out=place)) == ("hinge", "y_true", 0.0, index)
    assert place[index] == 0.5, "a sample that is refused is not written over"
    y[index], w[index] = 1.0, -1.0
    for output in ("loss_out", "gradient_out"):
        place = w.copy()
        assert found(lambda: loss.loss_gradient(y, p, place, **{output: place})) == (None, "sample_weight", -1.0, index)  # noqa: B023
        assert place[index] == -1.0


def test_the_first_of_many_wins_on_every_run_of_many_threads():
    n = 400_000
    y, p, w = np.ones(n), np.full(n, 0.5), np.ones(n)
    w[[90_001, 300_000]], y[[90_000, 200_000, 399_999]], p[[89_999, 350_000]] = -1.0, 3.0, 2.0
    for _ in range(20):
        for weights in (None, w):
            assert found(lambda: fl.evaluate(["brier", LOG_LOSS], y, p, weights, n_threads=4))[1:] == ("y_pred", 2.0, 89_999)  # noqa: B023


@BACKENDS
@pytest.mark.parametrize("bad", [-1.0, np.inf, -np.inf, np.nan])
def test_a_weight_for_all_is_refused_by_every_call(bad, backend):
    y, p = np.ones(5), np.full(5, 0.5)
    loss = fresh("huber")
    for weight in (bad, np.float32(bad), np.array(bad)):
        messages = set()
        for call in (lambda: loss(y, p, weight), lambda: loss.cost_gradient(y, p, weight), lambda: loss.gradient(y, p, weight)):  # noqa: B023
            with pytest.raises(fl.InputError, match="`sample_weight` must be finite and >= 0, got .* at index 0") as caught:
                call()
            messages.add(str(caught.value))
        assert len(messages) == 1
