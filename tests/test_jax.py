"""fastloss.jax against optax, and against itself through jax's transformations."""

import doctest
import importlib
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

import fastloss as fl

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
import jax.numpy as jnp  # noqa: E402

import fastloss.adapters.jax  # noqa: E402
import fastloss.jax as ours  # noqa: E402
from fastloss.adapters.jax import general, xla  # noqa: E402

theirs = optax.losses
RNG = np.random.default_rng(5)
N, C = 6, 4


@pytest.fixture(autouse=True)
def _x64():
    with jax.enable_x64(True):
        yield


def normal(*shape):
    return RNG.normal(size=shape)


def softmax(z):
    e = np.exp(z)
    return e / e.sum(-1, keepdims=True)


P, Y, Z, B = normal(N), normal(N), normal(N, C), normal(2, 3, 2, 5)
SIGN, LABELS, SHARE = np.sign(normal(N)), RNG.integers(0, C, N), softmax(normal(N, C))
LOG_P, LOG_SHARE, UNIT, HARD = np.log(softmax(normal(N, C))), np.log(SHARE), RNG.random(N), RNG.integers(0, 2, N).astype(float)
WHERE = RNG.random((N, C)) > 0.4
WHERE[np.arange(N), LABELS] = True
WHERE[2] = False
CASES = [  # name, arguments, keywords, which of them optax's function and ours are differentiated by
    ("squared_error", (P, Y), {}, (0, 1)),
    ("squared_error", (P,), {}, (0,)),
    ("l2_loss", (P, Y), {}, (0, 1)),
    ("huber_loss", (P, Y), {"delta": 0.7}, (0, 1)),
    ("huber_loss", (Z, Z[0] + 0.9), {}, (0, 1)),
    ("huber_loss", (Z[0], Z + 0.9), {}, (0, 1)),
    ("log_cosh", (P, Y), {}, (0, 1)),
    ("sigmoid_binary_cross_entropy", (P, UNIT), {}, (0, 1)),
    ("sigmoid_binary_cross_entropy", (P, HARD.astype(int)), {}, (0,)),
    ("hinge_loss", (P, SIGN), {}, (0, 1)),
    ("perceptron_loss", (P, SIGN), {}, (0, 1)),
    ("sigmoid_focal_loss", (P, HARD), {}, (0,)),
    ("sigmoid_focal_loss", (P, HARD), {"alpha": 0.3, "gamma": 1.5}, (0,)),
    ("softmax_cross_entropy", (Z, SHARE), {}, (0, 1)),
    ("softmax_cross_entropy", (Z, SHARE[0]), {}, (0, 1)),
    ("softmax_cross_entropy", (Z, SHARE), {"axis": 0}, (0, 1)),
    ("softmax_cross_entropy", (Z, SHARE), {"axis": None}, (0, 1)),
    ("softmax_cross_entropy", (Z, SHARE), {"where": WHERE}, (0,)),  # by the labels optax's gradient is NaN
    ("softmax_cross_entropy", (Z, SHARE), {"where": WHERE[:, 0]}, (0,)),
    ("safe_softmax_cross_entropy", (Z, SHARE), {}, (0, 1)),
    ("softmax_cross_entropy_with_integer_labels", (Z, LABELS), {}, (0,)),
    ("softmax_cross_entropy_with_integer_labels", (Z, LABELS), {"where": WHERE}, (0,)),
    ("softmax_cross_entropy_with_integer_labels", (B, RNG.integers(0, 6, (2, 5))), {"axis": (1, 2)}, (0,)),
    ("multiclass_hinge_loss", (Z, LABELS), {}, (0,)),
    ("multiclass_perceptron_loss", (Z, LABELS), {}, (0,)),
    ("multiclass_sparsemax_loss", (Z, LABELS), {}, (0,)),
    ("kl_divergence", (LOG_P, SHARE), {}, (0, 1)),
    ("kl_divergence", (LOG_P, SHARE), {"axis": 0, "where": WHERE}, (0, 1)),
    ("kl_divergence_with_log_targets", (LOG_P, LOG_SHARE), {"where": WHERE}, (0, 1)),
    ("generalized_kl_divergence", (LOG_P, SHARE), {"where": WHERE}, (0, 1)),
    ("cosine_distance", (Z, normal(N, C)), {}, (0, 1)),
]
FIRST_ONLY = ("multiclass", "cosine")


def agree(ours, theirs):
    """Within 16 ULP of the largest number: optax rounds at every step, relative to terms that may cancel."""
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=0, atol=16 * np.finfo(one.dtype).eps * float(jnp.max(jnp.abs(other))))


@pytest.mark.parametrize(("name", "arguments", "keywords", "by"), CASES)
def test_optax(name, arguments, keywords, by):
    """Value, gradients with weights per sample, and second derivatives, jitted."""
    arguments = [jnp.asarray(one) for one in arguments]
    keywords = {key: jnp.asarray(one) if key == "where" else one for key, one in keywords.items()}
    weights = jnp.asarray(normal(*getattr(theirs, name)(*arguments, **keywords).shape))

    def answers(module):
        def total(*moving):
            every = list(arguments)
            for place, one in zip(by, moving, strict=True):
                every[place] = one
            found = getattr(module, name)(*every, **keywords)
            return (weights * found).sum(), found

        at = tuple(arguments[place] for place in by)
        gradients = jax.grad(total, tuple(range(len(by))), has_aux=True)
        if name.startswith(FIRST_ONLY):
            return jax.jit(gradients)(*at)
        return jax.jit(lambda *at: jax.jvp(gradients, at, tuple(map(jnp.cos, at))))(*at)

    agree(answers(ours), answers(theirs))


@pytest.mark.parametrize("name", ["huber_loss", "softmax_cross_entropy_with_integer_labels", "softmax_cross_entropy"])
@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0), (1, None)])
def test_vmap(name, axes):
    targets = {"huber_loss": Z[::-1], "softmax_cross_entropy": SHARE, "softmax_cross_entropy_with_integer_labels": LABELS}[name]

    def mapped(one, axis):
        return jnp.asarray(one if axis is None else np.stack([one, np.roll(one, 1, 0), one], axis))

    arguments = [mapped(one, axis) for one, axis in zip((Z, targets), axes, strict=True)]

    def answers(module):
        function = jax.value_and_grad(lambda *arguments: getattr(module, name)(*arguments).sum())
        return jax.jit(jax.vmap(function, axes))(*arguments)

    agree(answers(ours), answers(theirs))


def test_all_that_optax_has_is_here_or_named_as_left_out():
    there = {name for name in dir(theirs) if callable(getattr(theirs, name)) and not name.startswith("_")}
    missing = there - set(ours.__all__)
    assert [name for name in missing if name not in ours.__doc__ and "dice" not in name] == []
    assert set(ours.__all__) - there == {"cost", "from_loss"}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_dtypes_are_kept_and_rounded_once(dtype):
    p, y = jnp.asarray(P, dtype), jnp.asarray(Y, dtype)
    loss, gradient = ours.log_cosh(p, y), jax.grad(lambda p: ours.log_cosh(p, y).sum())(p)
    assert loss.dtype == gradient.dtype == p.dtype
    e = np.asarray(p, float) - np.asarray(y, float)
    for found, true in ((loss, np.log(np.cosh(e))), (gradient, np.tanh(e))):
        ulp = float(jnp.finfo(dtype).eps) * 2.0 ** np.floor(np.log2(np.abs(true)))
        assert np.max(np.abs(np.asarray(found, float) - true) / ulp) <= (4 if dtype == "float32" else 0.51)
    assert ours.squared_error(p, jnp.asarray(Y)).dtype == jnp.float64
    assert ours.cost("mse")(p, y).dtype == jnp.float32


def test_digits_that_optax_loses():
    z, one = jnp.float32(30.0), jnp.float32(1.0)
    gradient = jax.grad(ours.sigmoid_binary_cross_entropy)
    assert gradient(z, one) == pytest.approx(-np.exp(-30.0), rel=2.0**-22)
    small = jnp.float32(1e-4)
    assert ours.log_cosh(small) == pytest.approx(float(small) ** 2 / 2, rel=2.0**-22) and theirs.log_cosh(small) != ours.log_cosh(small)
    z, hot = jnp.asarray([0.0, -jnp.inf]), jnp.asarray([1.0, 0.0])
    assert ours.softmax_cross_entropy(z, hot) == theirs.safe_softmax_cross_entropy(z, hot) == 0.0


@pytest.mark.parametrize("spec", ["tweedie:power=1.5", "pinball:quantile=0.9", "cross_entropy:label_smoothing=0.1", "categorical_focal"])
def test_any_loss(spec):
    loss = fl.get(spec)
    rows = isinstance(loss, fl.RowLoss)
    p, y, w = Z if rows else P, LABELS if rows else np.abs(Y), RNG.random(N)
    values, gradients = loss.loss_gradient(y, p, w)
    function = ours.from_loss(loss)
    np.testing.assert_allclose(function(p, y, w), values, rtol=2**-51)
    np.testing.assert_allclose(jax.grad(lambda p: function(p, y, w).sum())(p), gradients, rtol=2**-51)
    if not rows:
        bends = jax.jacfwd(jax.grad(lambda p: function(p, y).sum()))(p)
        np.testing.assert_array_equal(bends, np.diag(loss.gradient_hessian(y, p)[1]))
    cost, gradient = jax.jit(jax.value_and_grad(ours.cost(spec)))(p, y, w)
    assert cost == loss(y, p, w)
    np.testing.assert_array_equal(gradient, loss.cost_gradient(y, p, w)[1])


def test_cost_under_vmap_and_of_sums():
    batch = jnp.stack([Z, -Z])
    costs, gradients = jax.vmap(jax.value_and_grad(ours.cost("cross_entropy")), (0, None))(batch, jnp.asarray(LABELS))
    for cost, gradient, z in zip(costs, gradients, (Z, -Z), strict=True):
        assert cost == fl.cross_entropy(LABELS, z)
        np.testing.assert_array_equal(gradient, fl.SoftmaxCrossEntropy().cost_gradient(LABELS, z)[1])
    value, gradient = jax.value_and_grad(ours.cost("dice"))(UNIT, HARD)
    assert value == fl.dice(HARD, UNIT)
    np.testing.assert_array_equal(gradient, fl.Dice().cost_gradient(HARD, UNIT)[1])


def test_value_and_gradient_are_one_pass(monkeypatch):
    calls = []
    compute = xla.compute
    monkeypatch.setattr(xla, "compute", lambda call, *rest: (calls.append(call), compute(call, *rest)))
    step = jax.jit(jax.value_and_grad(lambda p: ours.huber_loss(p, Y).sum()))
    jax.block_until_ready(step(P))
    jax.block_until_ready(jax.jit(jax.value_and_grad(ours.cost("huber")))(P, Y))
    jax.block_until_ready(ours.huber_loss(P, Y))
    assert calls == [f"{what}|predictions|targets huber:delta=1.0" for what in ("loss,gradient", "cost_gradient", "loss")]
    monkeypatch.setattr(xla, "losses", {})  # as for an executable out of a persistent cache: the text is enough
    np.testing.assert_array_equal(step(P)[1], fl.Huber().gradient(Y, P))


def test_nothing_is_copied():
    n = 2**21  # in jit, at a size where a callback that waits for jax would hang
    p, y = jnp.ones(n, jnp.float32), jnp.zeros(n, jnp.float32)
    step = jax.jit(jax.value_and_grad(lambda p, y: ours.squared_error(p, y[0] + jnp.zeros(n, jnp.float32)).mean()))
    jax.block_until_ready(step(p, y))
    tracemalloc.start()
    value, gradient = jax.block_until_ready(step(p, y))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n / 4 and value == 1.0 and gradient[-1] == np.float32(2 / n)


def test_models_train_to_the_same_weights():
    x, target = jnp.asarray(normal(200, 3), jnp.float32), jnp.asarray(RNG.integers(0, 4, 200))

    def trained(module):
        def objective(w):
            return module.softmax_cross_entropy_with_integer_labels(x @ w, target).mean()

        optimizer, w = optax.adam(0.05), jnp.zeros((3, 4), jnp.float32)
        state = optimizer.init(w)
        step = jax.jit(lambda w, state: optimizer.update(jax.grad(objective)(w), state))
        for _ in range(20):
            updates, state = step(w, state)
            w = optax.apply_updates(w, updates)
        return w

    np.testing.assert_allclose(trained(ours), trained(theirs), rtol=0, atol=20 * 0.05 * 2e-6)  # 20 steps of 0.05, each to some ULP


def test_errors():
    with pytest.raises(jax.errors.JaxRuntimeError, match="`targets` of `hinge` must be -1 or 1 .* got 0.5 at index 1"):
        jax.block_until_ready(jax.jit(ours.hinge_loss)(P[:2], jnp.asarray([1.0, 0.5])))
    with pytest.raises(jax.errors.JaxRuntimeError, match="`labels` of .* got 4 at index 0"):
        jax.block_until_ready(ours.softmax_cross_entropy_with_integer_labels(Z[:1], jnp.asarray([4])))
    with pytest.raises(ValueError, match="`predictions` and `targets` must have the same shape"):
        ours.squared_error(P, Y[:2])
    with pytest.raises(ValueError, match="`delta`"):
        ours.huber_loss(P, Y, delta=-1.0)
    with pytest.raises(ValueError, match="`labels` must have the shape"):
        ours.multiclass_hinge_loss(Z, LABELS[:2])
    with pytest.raises(ValueError, match="`axis`"):
        ours.kl_divergence(LOG_P, SHARE, axis=2)
    with pytest.raises(ValueError, match="`epsilon` must be 0"):
        ours.cosine_distance(Z, Z, epsilon=1e-3)
    with pytest.raises(TypeError, match="`predictions` must be of a floating dtype"):
        ours.l2_loss(jnp.arange(3))
    with pytest.raises(TypeError, match="`delta` must be a number that is known"):
        jax.jit(lambda delta: ours.huber_loss(P, Y, delta=delta))(1.0)
    for make in (ours.from_loss, ours.cost):
        with pytest.raises(TypeError, match="is no mean"):
            make("rmse")
    with pytest.raises(ValueError, match="`sample_weight` must have the shape"):
        ours.cost("mse")(P, Y, Y[:1])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: jax.grad(ours.sigmoid_focal_loss, 1)(P[0], HARD[0]), "`focal` has no derivative by its targets"),
        (lambda: jax.grad(jax.grad(jax.grad(ours.log_cosh)))(P[0], Y[0]), "`log_cosh` has no third derivatives"),
        (lambda: jax.hessian(lambda z: ours.multiclass_hinge_loss(z, LABELS[0]))(Z[0]), "has no second derivatives"),
        (lambda: jax.hessian(lambda p: ours.cost("mse")(p, Y))(P), "has no second derivative of its cost"),
        (lambda: jax.grad(ours.cost("mse"), 2)(P, Y, UNIT), "has no derivative of its cost by sample_weight"),
    ],
)
def test_derivatives_that_are_not_there(function, message):
    with pytest.raises(NotImplementedError, match=message):
        function()


def test_examples():
    assert doctest.testmod(general) == (0, 6)


def test_what_is_missing_or_too_old_is_named(monkeypatch):
    monkeypatch.setattr(jax, "__version_info__", (0, 4, 38))
    with pytest.raises(ImportError, match="needs jax >= 0.5, and this is"):
        importlib.reload(fastloss.adapters.jax)
    monkeypatch.setitem(sys.modules, "jax", None)
    with pytest.raises(ImportError, match=r'pip install "fastloss\[jax\]"'):
        importlib.reload(fastloss.adapters.jax)


def test_a_program_ends_while_something_is_computed():
    code = (
        "import jax, jax.numpy as jnp, fastloss.jax\n"
        "step = jax.jit(jax.value_and_grad(lambda p: fastloss.jax.log_cosh(p).mean()))\n"
        "p = jax.block_until_ready(jnp.ones(2**22))\n"
        "found = step(p)\n"
        "step(p)\n"  # whose result nobody has
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)
