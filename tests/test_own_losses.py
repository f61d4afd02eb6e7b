"""Losses that users define run where the built-in ones do: same driver, same results, same ways in."""
# ruff: noqa: N805 - formulas are no methods

import copy
import pickle
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

import fastloss as fl
from fastloss.engine import backends
from fastloss.losses import ALIASES, REGISTRY, definitions
from fastloss.losses.spec import OWN
from tests.accuracy import errors, pairs
from tests.own_losses import Cauchy, own_huber, twin
from tests.test_accuracy import LIMITS

TWINS = ["huber", "squared_error", "absolute_error", "log_cosh", "fair", "logistic", "poisson_loss", "log_loss", "hinge", "pinball"]
DTYPES = {"float16": np.float16, "float32": np.float32, "float64": np.float64}


@pytest.fixture(scope="module")
def twins():
    return {name: twin(name) for name in TWINS}


def data(name, dtype, n=5000, seed=0):
    rng, of = np.random.default_rng(seed), fl.get(name).definition
    y, p = rng.standard_normal(n), rng.standard_normal(n) * 3
    if of.target.low == 0.0:
        y = (rng.random(n) < 0.5).astype(float)
    elif of.target.low == -1.0:
        y = rng.choice([-1.0, 1.0], n)
    if of.prediction.low == 0.0:
        p = rng.random(n)
    return y.astype(dtype), p.astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", TWINS)
def test_twins_keep_what_built_in_losses_promise(name, dtype, twins):
    """The same formulas through another compiler: as near to the true result."""
    assert not beyond(twins[name](), name, dtype, LIMITS)


def beyond(own, name, dtype, limits):
    """What of a twin errs by more than the limits: the same references as for the built-in loss."""
    y, p = pairs(REGISTRY[name], dtype)
    stand_in = SimpleNamespace(definition=REGISTRY[name], parameters=own.parameters, loss_gradient_hessian=own.loss_gradient_hessian)
    return [(part, size, *where) for part, size, *where in errors(stand_in, dtype, y, p) if not size <= limits[part]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TWINS)
def test_dtypes_weights_and_costs(name, dtype, twins):
    own, of = twins[name](), fl.get(name)
    y, p = data(name, dtype)
    w = np.random.default_rng(1).random(len(y))
    parts = own.loss_gradient_hessian(y, p)
    for mine, theirs, weighed in zip(parts, of.loss_gradient_hessian(y, p), own.loss_gradient_hessian(y, p, w), strict=True):
        assert mine.dtype == theirs.dtype == weighed.dtype == DTYPES[dtype]
        if dtype == "float16":  # rounded from float32, of which both are right to a few digits: they may fall to either side
            same = mine == theirs  # infinities
            assert (np.abs(mine[~same] - theirs[~same]) <= np.spacing(np.abs(theirs[~same]))).all()
        else:
            assert (weighed == (mine.astype(np.float64) * w).astype(dtype)).all()
    wide = p.astype(np.float32) if dtype == "float16" else p
    losses = list(map(Fraction, own.loss(y, wide).tolist()))
    assert own(y, p) == float(sum(losses) / len(losses))  # correctly rounded
    terms = [Fraction(float(loss) * weight) for loss, weight in zip(losses, w.tolist(), strict=True)]
    cost, gradient = own.cost_gradient(y, p, w)
    assert cost == own(y, p, w) == float(sum(terms) / sum(map(Fraction, w.tolist())))
    wanted = pytest.approx(parts[1] * w / w.sum(), rel=2 * float(np.finfo(dtype).eps), abs=1e-7)
    assert gradient.dtype == DTYPES[dtype] and gradient == wanted


@pytest.mark.parametrize("name", ["huber", "log_cosh", "logistic"])
def test_streams_threads_and_layouts_change_nothing(name, twins):
    own = twins[name]()
    y, p = data(name, "float32", 200_000)
    w = np.random.default_rng(2).random(len(y))
    cost = own(y, p, w, n_threads=1)
    assert cost == own(y, p, w, n_threads=4) == own(y[::-1], p[::-1], w[::-1])
    one, other = fl.State(own), fl.State(own)
    for start in range(0, len(y), 33_333):
        (one if start % 2 else other).update(y[start : start + 33_333], p[start : start + 33_333], w[start : start + 33_333])
    assert one.merge(other).compute() == cost
    assert own(np.repeat(y, 2)[::2], np.repeat(p, 2)[::2], w) == cost and own(y.astype(">f4"), p, w) == cost
    out = p.copy()
    assert own.gradient(y, out, gradient_out=out) is out and (out == own.gradient(y, p)).all()


def test_one_pass_with_built_in_losses():
    y, p = np.random.default_rng(0).standard_normal((2, 20_000))
    specs = ["mse", Cauchy(2.0), "huber", "cauchy:scale=0.5", own_huber(delta=1.0), "rmse"]
    costs = fl.evaluate(specs, y, p)
    assert list(costs) == ["mse", "cauchy:scale=2.0", "huber", "cauchy:scale=0.5", "own_huber:delta=1.0", "rmse"]
    assert costs["own_huber:delta=1.0"] == costs["huber"] and costs["cauchy:scale=2.0"] == Cauchy(scale=2)(y, p)
    assert costs["mse"] == fl.mse(y, p) and costs["rmse"] == fl.rmse(y, p)
    state = fl.State(specs).update(y, p)
    assert "numba" in state.bits and (backends.current().name != "cython" or len(state.bits) == 2)
    assert state.compute() == costs and fl.State.from_bytes(state.to_bytes()).compute() == costs
    with pytest.raises(fl.InputError, match="`sample_weight` must be finite"):
        fl.evaluate(specs, y, p, np.full(len(y), -1.0))


def test_nan_policies_and_domains(twins):
    y, p = data("log_loss", "float64", 1000)
    p[[3, 500]] = np.nan
    own, of = twins["log_loss"](), fl.LogLoss()
    assert np.isnan(own(y, p)) and own(y, p, nan="skip") == pytest.approx(of(y, p, nan="skip"), rel=1e-15)
    with pytest.raises(fl.InputError, match="index 3"):
        own(y, p, nan="raise")
    p[7] = 1.5
    with pytest.raises(fl.InputError, match=r"`y_pred` of `twin_log_loss` must be in \[0, 1\], got 1.5 at index 7"):
        own(y, p)
    with pytest.raises(ValueError, match="`delta` of `twin_huber` must be > 0, got -1"):
        twins["huber"](delta=-1)
    with pytest.raises(ValueError, match="nothing to divide by"):
        own([], [])


def test_analysis():
    y, p = np.random.default_rng(0).standard_normal((2, 500))
    state = fl.State([Cauchy(2.0), "mse"])
    analysis = fl.Analysis(state, spread=True, worst=3, bootstrap=20)
    state.update(y, p)
    analysis.update(y, p)
    losses = Cauchy(2.0).loss(y, p)
    assert [one.loss for one in analysis.worst["cauchy:scale=2.0"]] == sorted(losses.tolist(), reverse=True)[:3]
    again = fl.Analysis.from_bytes(analysis.to_bytes())
    assert again.spread["cauchy:scale=2.0"].standard_error == pytest.approx(losses.std(ddof=1) / len(y) ** 0.5)


def test_a_class_like_the_others():
    assert Cauchy(scale=2.0) == Cauchy(2) == fl.get("cauchy:scale=2") == fl.get("Lorentzian:scale=2") and Cauchy(2) != Cauchy()
    assert repr(Cauchy(2.0)) == "Cauchy(scale=2.0)" and issubclass(Cauchy, fl.Loss) and hash(Cauchy()) == hash(Cauchy(1.0))
    assert "Grows like a logarithm" in Cauchy.__doc__ and "where it begins to flatten; > 0, default 1.0" in Cauchy.__doc__
    assert Cauchy.__module__ == "tests.own_losses" and Cauchy(3.0).parameters == {"scale": 3.0}
    assert copy.deepcopy(fl.State(Cauchy())).merge(fl.State(Cauchy())).n == 0
    assert own_huber.definition.derived == ("gradient", "hessian") and own_huber.__name__ == "own_huber"
    with pytest.raises(ValueError, match="did you mean 'cauchy'"):
        fl.get("cauchi")


def test_lists_of_the_package_do_not_show_them():
    assert "cauchy" in OWN and "cauchy" not in ALIASES and not any(definition.own for definition in definitions())
    assert "cauchy" not in dir(fl)
    with pytest.raises(AttributeError):
        fl.cauchy  # noqa: B018


def test_pickles_within_a_process():
    for loss in (Cauchy(2.0), own_huber(), local()(0.5)):
        again = pickle.loads(pickle.dumps(loss))
        assert again == loss and type(again) is type(loss) and again(1.0, 3.0) == loss(1.0, 3.0)


def local():
    @fl.loss
    class LocalOne:
        a = fl.Parameter(1.0, fl.REAL)

        def value(y, p, a):
            return a * (p - y) * (p - y)

    return LocalOne


def test_defined_again_it_is_replaced():
    y, p = np.array([1.0, 2.0]), np.array([2.0, 4.0])
    first = again(1.0)
    assert fl.evaluate(["again"], y, p) == {"again": 2.5} and first()(y, p) == 2.5
    old = pickle.dumps(first())
    second = again(2.0)
    assert fl.evaluate(["again"], y, p) == {"again": 5.0} and first()(y, p) == 2.5 and first() != second()
    assert pickle.loads(old)(y, p) == 2.5 and fl.get("again") == second()  # an old pickle does not bring the old one back
    state = fl.State("again").update(y, p)
    again(1.0)
    with pytest.raises(ValueError, match="its loss `again` is another than the one defined at"):
        fl.State.from_bytes(state.to_bytes())
    with pytest.raises(ValueError, match="different questions"):
        fl.State(first()).merge(fl.State(second()))


def again(factor):
    def once(y, p):
        return 1.0 * (p - y) * (p - y)

    def twice(y, p):
        return 2.0 * (p - y) * (p - y)

    function = once if factor == 1.0 else twice
    function.__qualname__ = "again"
    return fl.loss(name="again")(function)


def test_a_lambda_and_closures():
    weight = 3.0
    one = fl.loss(lambda y, p, a=2.0: a * abs(p - y), name="by_lambda")
    assert one(1.0)(0.0, -4.0) == 4.0 and one.definition.parameters["a"].default == 2.0

    def twice(x):
        return 2.0 * x

    @fl.loss
    def with_helper(y, p):
        return twice(abs(p - y))

    assert with_helper()(0.0, 4.0) == 8.0 and with_helper().gradient(0.0, 4.0) == 2.0
    with pytest.raises(fl.FormulaError, match="`weight` is neither an argument nor assigned before"):
        fl.loss(lambda y, p: weight * (p - y), name="by_closure")


def test_files(tmp_path):
    y, p = np.random.default_rng(0).standard_normal((2, 300))
    np.savez(tmp_path / "d.npz", y=y, p=p)
    evaluation = fl.evaluate_files(tmp_path / "d.npz", [Cauchy(2.0), "mse"], state=tmp_path / "s.fls", report=True)
    assert evaluation.costs == fl.evaluate([Cauchy(2.0), "mse"], y, p)
    evaluation.write_html(tmp_path / "r.html")
    assert "cauchy" in (tmp_path / "r.html").read_text()
    assert fl.merge_states(tmp_path / "s.fls").costs == evaluation.costs


@pytest.mark.parametrize("which", ["numba", "python"])
def test_other_backends(which, monkeypatch):
    """Where there are no compiled kernels, own losses are no different from others."""
    from fastloss.engine.numba_backend import NumbaBackend
    from fastloss.engine.python_backend import PythonBackend

    monkeypatch.setattr(backends, "current", {"numba": NumbaBackend, "python": PythonBackend}[which])
    y, p = np.random.default_rng(0).standard_normal((2, 100))
    scale = {"numba": 0.25, "python": 0.375}[which]  # losses keep what they are bound to
    own, of = Cauchy(scale), np.log1p(((p - y) / scale) ** 2)
    assert own(y, p) == pytest.approx(of.mean(), rel=1e-15)
    assert fl.evaluate([own, fl.Huber(scale)], y, p)[own.spec] == own(y, p)


def test_cells_of_a_notebook():
    """As IPython runs them: the text is in linecache, and the file is not there. A cell that runs again replaces what it defined."""
    import linecache
    import types

    notebook = types.ModuleType("a_notebook")

    def run(number, text):
        name = f"/tmp/ipykernel_1/{number}.py"
        linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
        exec(compile(text, name, "exec"), vars(notebook))

    text = "import fastloss as fl\n@fl.loss\nclass InACell:\n    def value(y, p):\n        return {}abs(p - y)\n"
    run(1, text.format(""))
    first = notebook.InACell
    run(2, text.format("3.0 * "))
    assert first()(0.0, 2.0) == 2.0 and notebook.InACell()(0.0, 2.0) == 6.0 == fl.get("in_a_cell")(0.0, 2.0)
    assert pickle.loads(pickle.dumps(notebook.InACell()))(0.0, 2.0) == 6.0
    with pytest.raises(fl.FormulaError, match=r"/tmp/ipykernel_1/3.py:5: in formula `value`: `x` is neither an argument"):
        run(3, text.format("x * "))
    assert fl.get("in_a_cell")(0.0, 2.0) == 6.0
