"""Linear cross-entropy: against float64 formulas of all logits at once, and torch; gradients, options, layouts, memory, errors."""

import gc
import inspect
import os
import pickle
import signal
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import backends, linear

pytestmark = pytest.mark.skipif(backends.current().name != "cython", reason="many tiles: for the compiled kernels")
OPTIONS = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.2},
    "capped": {"softcap": 3.0},
    "warm": {"temperature": 2.0},
    "z loss": {"z_loss": 0.01},
    "ignoring": {"ignore_index": -100},
    "class weights": {"class_weight": True, "label_smoothing": 0.1, "ignore_index": -100},
}
SHAPES = [(1, 1, 2), (7, 3, 2), (37, 5, 11), (130, 9, 70), (23, 1, 300)]


def data(n, d, c, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    x, w, b = rng.standard_normal((n, d)), rng.standard_normal((c, d)), rng.standard_normal(c)
    return x.astype(dtype), w.astype(dtype), rng.integers(0, c, n), b.astype(dtype)


def reference(x, w, y, b=None, sample_weight=None, *, class_weight=None, ignore_index=None, label_smoothing=0.0, softcap=None,
              temperature=1.0, z_loss=0.0, mean=True):  # fmt: skip
    """(cost, dX, dW, db, losses) by the textbook, all logits at once."""
    x, w = np.asarray(x, np.float64), np.asarray(w, np.float64)
    (n, c), rows = (len(x), len(w)), np.arange(len(x))
    kept = np.ones(n, bool) if ignore_index is None else y != ignore_index
    label = np.where(kept, y, 0)
    cw, sw = np.ones(c) if class_weight is None else np.asarray(class_weight), np.ones(n) if sample_weight is None else sample_weight
    z = (x @ w.T + (0.0 if b is None else np.asarray(b, np.float64))) / temperature
    u = z if softcap is None else softcap * np.tanh(z / softcap)
    lse = np.logaddexp.reduce(u, axis=1)
    target = np.full((n, c), label_smoothing / c) * cw
    target[rows, label] += (1.0 - label_smoothing) * cw[label]
    losses = ((target * (lse[:, None] - u)).sum(1) + z_loss * lse**2) * kept * sw
    g = np.exp(u - lse[:, None]) * (target.sum(1) + 2.0 * z_loss * lse)[:, None] - target
    g *= (kept * sw)[:, None] / temperature * (1.0 if softcap is None else 1.0 - (u / softcap) ** 2)
    divisor = (sw * kept * cw[label]).sum() if mean else 1.0
    g /= divisor
    return losses.sum() / divisor, g @ w, g.T @ x, g.sum(0), losses


def close(found, wanted, rtol):
    """Equal within rtol of the largest: sums over rows and classes cancel."""
    for one, other in zip(found, wanted, strict=True):
        assert np.shape(one) == np.shape(other)
        assert np.abs(np.asarray(one) - other).max() <= rtol * max(1e-3, np.abs(other).max())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OPTIONS)
def test_against_the_textbook(shape, name):
    """Cost, losses and gradients, of one tile and of many with a short last one; with and without biases and weights."""
    x, w, y, b = data(*shape)
    options = dict(OPTIONS[name])
    if "class_weight" in options:
        options["class_weight"] = np.linspace(0.5, 2.0, shape[2])
    if "ignore_index" in options and len(y) > 1:
        y[::3] = -100
    sw = np.random.default_rng(1).random(shape[0])
    layer = fl.LinearCrossEntropy(**options)
    for bias, weight, memory in ((None, None, None), (b, sw, 8 * (3 * shape[2] + 7 * sum(shape[1:])))):
        want = reference(x, w, y, bias, weight, **options)
        found = layer.cost_gradient(x, w, y, bias, weight, wanted=("X", "W", "b"), memory=memory)
        close(found, want[:4], 1e-13)
        assert layer.cost(x, w, y, bias, weight) == pytest.approx(want[0], rel=1e-13)
        close([layer.loss(x, w, y, bias, weight, memory=memory)], want[4:], 1e-13)
        total = fl.linear_cross_entropy(x, w, y, bias, weight, reduction="sum", gradient=("W", "b"), **options)
        want = reference(x, w, y, bias, weight, mean=False, **options)
        assert total.dX is None
        close([total.cost, total.dW, total.db], [want[0], *want[2:4]], 1e-13)


def test_cost_is_that_of_the_rowwise_loss():
    """Of the same logits, to the last bit: sums are exact whatever the tiles. Small integers have no rounding in logits."""
    rng = np.random.default_rng(0)
    x, w = rng.integers(-3, 4, (101, 4)).astype(np.float32), rng.integers(-3, 4, (50, 4)).astype(np.float32)
    y, sw = rng.integers(0, 50, 101), rng.random(101)
    want = fl.SoftmaxCrossEntropy()(y, x @ w.T, sw)
    for memory in (1, 3000, 9000, None):
        for n_threads in (1, 2):
            assert fl.linear_cross_entropy(x, w, y, None, sw, memory=memory, n_threads=n_threads) == want


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"ignore_index": -100}, {"class_weight": True, "ignore_index": -100}])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_against_torch(options, dtype):
    torch = pytest.importorskip("torch")
    x, w, y, b = data(67, 12, 40, dtype)
    theirs, options = dict(options), dict(options)
    if "ignore_index" in options:
        y[::5] = -100
    if "class_weight" in options:
        options["class_weight"] = np.linspace(0.5, 2.0, 40)
        del theirs["class_weight"]
        theirs["weight"] = torch.from_numpy(options["class_weight"].astype(dtype))
    leaves = [torch.from_numpy(array).requires_grad_() for array in (x, w, b)]
    cost = torch.nn.functional.cross_entropy(torch.nn.functional.linear(*leaves), torch.from_numpy(y), **theirs)
    cost.backward()
    found = fl.linear_cross_entropy(x, w, y, b, gradient=True, memory=4096, **options)
    close(found, [cost.item(), *(leaf.grad.numpy() for leaf in leaves)], 3e-6 if dtype == "float32" else 1e-14)
    assert {str(array.dtype) for array in found[1:]} == {dtype}


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "every other column": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "backwards": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "one row, stretched": lambda a: np.broadcast_to(a[:1], a.shape),
    "part of a row": lambda a: np.concatenate([a, a], axis=1)[:, : a.shape[1]],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    x, w, y, b = data(33, 6, 20)
    x, w = LAYOUTS[layout](x), LAYOUTS[layout](w)
    close(fl.linear_cross_entropy(x, w, y, b, gradient=True, memory=3000), reference(x, w, y, b)[:4], 1e-13)


@pytest.mark.parametrize(
    "dtypes", [("float16", "float16"), ("bfloat16", "bfloat16"), ("float16", "float32"), ("float32", "float64"), ("int8", "float32")]
)
def test_dtypes(dtypes):
    """What is not float32 or float64 is converted, exactly; gradients are of the dtype computed in."""
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x, w, y, b = data(29, 8, 24)
    x, w = (array.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype) for array, dtype in zip((x * 2, w), dtypes, strict=True))
    wide = dtypes[0] == "int8" or "float64" in dtypes
    found = fl.linear_cross_entropy(x, w, y, b, gradient=True, memory=2500)
    assert {str(array.dtype) for array in found[1:]} == {"float64" if wide else "float32"}
    close(found, reference(x.astype(np.float64), w.astype(np.float64), y, b)[:4], 1e-13 if wide else 2e-6)


def test_masked_and_bad_numbers():
    """A class of bias -inf is masked; NaN makes the cost NaN, without a warning."""
    x, w, y, b = data(20, 4, 6)
    y[:], b[2] = np.arange(20) % 2, -np.inf
    close(fl.linear_cross_entropy(x, w, y, b, gradient=True)[:4], _without(x, w, y, b, 2), 1e-13)
    x[3, 1] = np.nan
    assert np.isnan(fl.linear_cross_entropy(x, w, y, b, gradient=True).cost)


def _without(x, w, y, b, column):
    cost, dx, dw, db, _ = reference(x, np.delete(w, column, 0), y, np.delete(b, column))
    return cost, dx, np.insert(dw, column, 0.0, axis=0), np.insert(db, column, 0.0)


def test_buffers_are_written():
    x, w, y, b = data(19, 4, 6)
    outs = {"dX_out": np.full_like(x, np.nan), "dW_out": np.full_like(w, np.nan), "db_out": np.full_like(b, np.nan)}
    found = fl.linear_cross_entropy(x, w, y, gradient=("X", "W", "b"), memory=600, **outs)
    assert all(one is other for one, other in zip(found[1:], outs.values(), strict=True))
    close(found, reference(x, w, y)[:4], 1e-13)
    loss = np.empty(19)
    assert fl.LinearCrossEntropy().loss(x, w, y, loss_out=loss) is loss
    close([loss], reference(x, w, y)[4:], 1e-13)


def test_nothing_to_add():
    x, w, y, b = data(0, 4, 6)
    found = fl.linear_cross_entropy(x, w, y, b, reduction="sum", gradient=True)
    assert found.cost == 0.0 and found.dX.shape == (0, 4) and not found.dW.any() and not found.db.any()
    x, w, y, b = data(3, 4, 6)
    for call in (fl.linear_cross_entropy, fl.LinearCrossEntropy().cost_gradient):
        with pytest.raises(ValueError, match="nothing to divide by"):
            call(x[:0], w, y[:0], b)
        with pytest.raises(ValueError, match="nothing to divide by"):
            call(x, w, y, b, np.zeros(3))


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("memory", [400_000, 3_000_000, None])
def test_memory_is_as_stated(gradient, dtype, memory):
    """Above inputs and results no more than ``memory``; all logits would be 48 MB, X and W in float32 2.1 MB."""
    x, w, y, b = data(4000, 64, 3000, np.float32)
    x, w = x.astype(dtype), w.astype(dtype)
    outs = {"dX_out": np.empty(x.shape, np.float32), "dW_out": np.empty(w.shape, np.float32), "db_out": np.empty(3000, np.float32)}
    fl.linear_cross_entropy(x[:2], w, y[:2], b, gradient=gradient, memory=memory)  # what is made once, and stays, is no temporary
    gc.collect()
    tracemalloc.start()
    try:
        fl.linear_cross_entropy(x, w, y, b, gradient=gradient, memory=memory, **(outs if gradient else {}))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    allowed = memory or linear.LEAST
    casts = 12 * np.getbufsize()  # bytes of NumPy's own buffers, of float32 and float64 here
    assert 0.5 * allowed < peak <= allowed + casts + 20_000, "arrays NumPy makes, its casts' buffers, and 20 kB for Python's own"


X, W, Y, B = np.ones((4, 3)), np.ones((5, 3)), np.zeros(4, int), np.ones(5)
REFUSED = {
    "X of one dimension": ((X[0], W, Y), {}, r"`X` must have shape \(N, d\), rows of d features, got shape \(3,\)$"),
    "X of three": ((X[None], W, Y), {}, r"`X` .* got shape \(1, 4, 3\); pass X.reshape\(-1, 3\)$"),
    "no features": ((X[:, :0], W[:, :0], Y), {}, r"`X` .* got shape \(4, 0\)$"),
    "W transposed": ((X, W.T, Y), {}, r"`W` must have shape \(C, 3\), as `X` has 3 features, got shape \(3, 5\); pass W.T$"),
    "one class": ((X, W[:1], Y), {}, r"`W` must have 2 rows or more, one per class, got shape \(1, 3\)$"),
    "b": ((X, W, Y, B[:4]), {}, r"`b` must have shape \(5,\), one per row of `W`, got shape \(4,\)$"),
    "y_true": ((X, W, Y[:3]), {}, r"`y_true` has shape \(3,\)"),
    "y_true of floats": ((X, W, Y + 0.5), {}, "`y_true` of `softmax_cross_entropy` must be integers"),
    "label": ((X, W, Y + np.array([0, 0, 5, 0])), {}, "`y_true` .* must be a class from 0 to 4, got 5 at index 2; rows to leave out"),
    "sample_weight": ((X, W, Y, B, np.ones(5)), {}, r"`sample_weight` must have shape \(4,\), one per row of `X`, .* got shape \(5,\)$"),
    "negative weight": ((X, W, Y, B, np.array([1, 1, 1, -1.0])), {}, "`sample_weight` must be finite and >= 0, got -1.0 at index 3$"),
    "class_weight": ((X, W, Y), {"class_weight": [1, 2]}, "`class_weight` has 2 weights, but `W` has 5 classes$"),
    "softcap": ((X, W, Y), {"softcap": -1.0}, "`softcap`"),
    "objects": ((X.astype(object), W, Y), {}, "`X` must be an array of .* got dtype object"),
    "reduction": ((X, W, Y), {"reduction": "none"}, "`reduction` must be one of 'mean', 'sum', got 'none'$"),
    "memory": ((X, W, Y), {"memory": 0}, "`memory` must be a whole number of bytes from 1"),
    "n_threads": ((X, W, Y), {"n_threads": 0}, "`n_threads` must be a whole number from 1"),
    "gradient": ((X, W, Y), {"gradient": "y"}, "gradients wanted are some of 'X', 'W', 'b', got 'y'$"),
    "gradient None": ((X, W, Y), {"gradient": ()}, r"gradients wanted are some of 'X', 'W', 'b', got \(\)$"),
    "buffer of nothing": ((X, W, Y), {"dX_out": X.copy()}, "`dX_out` is given, but no gradient is wanted"),
    "buffer of another": ((X, W, Y), {"gradient": "W", "dX_out": X.copy()}, "`dX_out` is given, but `X` is not among"),
    "buffer's shape": ((X, W, Y), {"gradient": True, "dW_out": X.copy()}, r"`dW_out` must be .* of shape \(5, 3\), got float64 \(4, 3\)$"),
    "buffer's dtype": ((X, W, Y), {"gradient": True, "dW_out": np.ones((5, 3), "f4")}, r"`dW_out` .* float64 .* got float32 \(5, 3\)$"),
    "buffer's layout": ((X, W, Y), {"gradient": True, "dW_out": np.ones((3, 5)).T}, "`dW_out` must be .* not contiguous$"),
    "buffer shared": ((X, W, Y), {"gradient": True, "dX_out": X}, "`dX_out` and `X` must not share memory$"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    arguments, options, message = REFUSED[case]
    with pytest.raises((ValueError, TypeError), match=message):
        fl.linear_cross_entropy(*arguments, **options)


def test_a_configured_layer():
    layer = fl.LinearCrossEntropy(softcap=30.0, ignore_index=-100)
    assert repr(layer) == "LinearCrossEntropy(temperature=1.0, softcap=30.0, label_smoothing=0.0, z_loss=0.0, ignore_index=-100)"
    assert pickle.loads(pickle.dumps(layer)) == layer == fl.LinearCrossEntropy(softcap=30.0, ignore_index=-100)
    assert hash(layer) == hash(pickle.loads(pickle.dumps(layer))) and layer != fl.LinearCrossEntropy()
    with pytest.raises(AttributeError, match="does not change"):
        layer.softcap = 2.0
    with pytest.raises(AttributeError, match="does not change"):
        del layer.softmax
    options = {*fl.SoftmaxCrossEntropy.definition.parameters, *fl.SoftmaxCrossEntropy.definition.options}
    assert options <= set(inspect.signature(fl.linear_cross_entropy).parameters), "no option of the loss is missing"


ENDLESS = """
import time
import numpy as np
import fastloss as fl
x, w, y = np.ones((20_000, 256), np.float32), np.ones((50_000, 256), np.float32), np.zeros(20_000, int)
fl.linear_cross_entropy(x[:9], w[:9], y[:9], gradient=True)
print("go", flush=True)
try:
    fl.linear_cross_entropy(x, w, y, gradient=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c():
    """Between chunks, of which each takes milliseconds; the whole call takes half a minute."""
    process = subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert process.stdout.readline() == "go\n"
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=5)
    finally:
        process.kill()
    assert output == "interrupted\n" and process.returncode == 0


def test_biases_beyond_float32_are_refused_there():
    x, w = np.ones((2, 3), np.float32), np.ones((2, 3), np.float32)
    with pytest.raises(
        fl.InputError, match="`b` of `linear_cross_entropy` must be in the range of float32, .* got 1e.300 at index 1; pass X"
    ):
        fl.linear_cross_entropy(x, w, [0, 1], np.array([1.0, 1e300]))
    assert fl.linear_cross_entropy(x, w, [0, 0], np.array([0.0, -np.inf])) == 0.0
    assert fl.linear_cross_entropy(x.astype(float), w, [1, 1], np.array([0.0, 1e300])) == 0.0
