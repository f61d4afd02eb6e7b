"""Bad input: what is said, and that it is said wherever the value stands and however the call is made."""

import copy
import importlib
import pickle

import numpy as np
import pytest

import fastloss as fl
from fastloss import losses as families

GOOD = np.full(6000, 0.5)


def put(index, value, n=6000, fill=0.5):
    array = np.full(n, fill)
    array[index] = value
    return array


CASES = [
    ("poisson_deviance", put(17, -3.0), GOOD, "`y_true` of `poisson_deviance` must be >= 0, got -3.0 at index 17"),
    ("poisson_deviance", GOOD, put(5999, 0.0), "`y_pred` of `poisson_deviance` must be > 0, got 0.0 at index 5999"),
    ("log_loss", GOOD, put(4000, 1.5), "`y_pred` of `log_loss` must be in [0, 1], got 1.5 at index 4000"),
    ("log_loss", put(0, -1.0), GOOD, "`y_true` of `log_loss` must be in [0, 1], got -1.0 at index 0"),
    (
        "hinge",
        put(3, 0.0, fill=1.0),
        GOOD,
        "`y_true` of `hinge` must be -1 or 1 (or bool), got 0.0 at index 3; targets 0 and 1: pass 2 * y_true - 1, or",
    ),
    (
        "focal",
        put(3, -1.0, fill=1.0),
        GOOD,
        "`y_true` of `focal` must be 0 or 1 (or bool), got -1.0 at index 3; targets -1 and +1: pass y_true > 0",
    ),
    ("msle", put(2, -1.0), GOOD, "`y_true` of `squared_log_error` must be > -1, got -1.0 at index 2"),
]


@pytest.mark.parametrize("name, y, p, words", CASES, ids=[case[3][:40] for case in CASES])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_outside_the_domain(name, y, p, words, dtype):
    y, p = y.astype(dtype), p.astype(dtype)
    loss = fl.get(name)
    calls = [
        lambda: loss(y, p), lambda: loss(y, p, n_threads=7), lambda: loss.loss(y, p), lambda: loss.cost_gradient(y, p),
        lambda: fl.State([name]).update(y, p), lambda: fl.evaluate([name, "mse"], y, p),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(fl.InputError) as caught:
            call()
        assert str(caught.value).startswith(words)
        assert caught.value.index == int(words.split("at index ")[1].split(";")[0])


def test_the_first_bad_value_is_named():
    y = np.zeros(300_000)
    y[[250_000, 40_000, 100_000]] = -1.0
    for _ in range(20):
        with pytest.raises(fl.InputError, match="at index 40000$"):
            fl.poisson_deviance(y, np.ones(300_000), n_threads=4)


def test_small_arrays_say_the_same():
    with pytest.raises(fl.InputError, match="must be > 0, got 0.0 at index 1"):
        fl.gamma_deviance(np.ones(3), np.array([1.0, 0.0, 1.0]))
    with pytest.raises(fl.InputError, match=r"got -2 at index \(1, 0\)"):
        fl.poisson_deviance(np.array([[1, 2], [-2, 4]]), np.ones((2, 2)))
    with pytest.raises(fl.InputError, match=r"got -2 at index \(1, 0\)"):
        fl.poisson_deviance(np.asfortranarray([[1, 2], [-2, 4]]), np.ones((2, 2), order="F"))


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [10, 9000])
def test_weights(bad, n):
    w = np.ones(n)
    w[n - 2] = bad
    for call in (lambda: fl.mse(np.zeros(n), np.ones(n), w), lambda: fl.SquaredError().gradient(np.zeros(n), np.ones(n), w),
                 lambda: fl.SquaredError().cost_gradient(np.zeros(n), np.ones(n), w)):  # fmt: skip
        with pytest.raises(fl.InputError, match=rf"`sample_weight` must be finite and >= 0, got {bad} at index {n - 2}"):
            call()


@pytest.mark.parametrize("bad, words", [
    (np.array(["a", "b"]), "strings"), (np.array([1, 2], object), "objects"), (np.array([1j, 2]), "complex numbers"),
    (np.array(["2020-01-01"] * 2, "M8[D]"), "dates"), (np.array([1, 2], "f16"), "longdouble"),
])  # fmt: skip
def test_dtypes(bad, words):
    for argument in ("y_true", "y_pred", "sample_weight"):
        arguments = {"y_true": np.ones(2), "y_pred": np.ones(2), "sample_weight": np.ones(2), argument: bad}
        with pytest.raises(TypeError, match=f"`{argument}` must be an array of bool, int8.*got dtype .*({words}|float128)"):
            fl.mse(**arguments)


@pytest.mark.parametrize("bad, remedy", [
    (np.array(["no", "yes"]), 'labels: pass y_true == "yes", with the positive one for "yes"; numbers: pass y_true.astype.float.'),
    (np.array(["no", None], object), 'labels: pass y_true == "yes", .*'), (np.array([b"no"] * 2), 'labels: pass y_true == "yes", .*'),
    (["no", "yes"], r'labels: pass np.asarray\(y_true\) == "yes", .*; numbers: pass np.asarray\(y_true\).astype\(float\)'),
    (np.array([1, None], object), r"numbers: pass y_true.astype\(float\)"),
])  # fmt: skip
def test_text_and_objects_get_a_remedy(bad, remedy):
    with pytest.raises(TypeError, match=f"; {remedy}$"):
        fl.log_loss(bad, [0.5, 0.5])
    with pytest.raises(TypeError, match=r"[s)]; numbers: pass (np.asarray\()?y_pred\)?.astype\(float\)$"):
        fl.mse([0.5, 0.5], bad)


def test_targets_minus_one_and_one_get_a_remedy():
    for y in (np.array([1, -1]), np.array([1.0, -1.0])):
        for name in ("log_loss", "brier", "logistic", "focal"):
            with pytest.raises(fl.InputError, match="; targets -1 and .1: pass y_true > 0$"):
                fl.get(name)(y, np.array([0.5, 0.5]))
    for y, p in (([0.5, -0.5], [0.5, 0.5]), ([1.0, 0.0], [0.5, -1.0])):
        with pytest.raises(fl.InputError, match=r"got -\d.\d at index 1$"):
            fl.log_loss(y, p)


@pytest.mark.parametrize("call, words", [
    (lambda y, p: fl.evaluate(y, p, ["mse"]), r"`losses` is a loss, .*comes first: .*; got an array of float64, of shape \(3,\)"),
    (lambda y, p: fl.evaluate(y.tolist(), p, ["mse"]), "`losses` is a loss, .*comes first: .*; got numbers, the first 0.0"),
    (lambda y, p: fl.State(y), "`losses` is a loss, .*; got an array"),
    (lambda y, p: fl.State(fl.mse), r"a loss is given as text \('huber:delta=2'\) or as a configured loss .*, got <function squared_error"),
    (lambda y, p: fl.evaluate(fl.mse, y, p), "a loss is given as text"),
    (lambda y, p: fl.evaluate([fl.mse], y, p), "a loss is given as text"),
    (lambda y, p: fl.evaluate(None, y, p), "a loss is given as text .*, got None"),
    (lambda y, p: fl.evaluate_files(["mse"], "p.parquet"), r"is evaluate_files\(paths, losses\), got \['mse'\] as paths, .*'p.parquet'"),
])  # fmt: skip
def test_arguments_in_each_others_place(call, words):
    with pytest.raises(TypeError, match=words):
        call(np.zeros(3), np.ones(3))


def test_losses_may_be_any_iterable_of_losses():
    y, p = np.zeros(3), np.ones(3)
    for losses in (["mse"], ("mse",), np.array(["mse"]), iter(["mse"]), "mse"):
        assert fl.evaluate(losses, y, p) == {"mse": 1.0}
    assert fl.evaluate(fl.Huber(), y, p) == {"huber:delta=1.0": 0.5}


@pytest.mark.parametrize("name, near", [
    ("log_los", "log_loss"), ("MSE", "mse"), ("Mae", "mae"), ("evaluate_file", "evaluate_files"), ("hubr", "huber"), ("Hubr", "Huber"),
    ("Statee", "State"), ("zzzz", None),
])  # fmt: skip
def test_a_mistyped_name_gets_suggestions(name, near):
    words = rf"^module 'fastloss' has no attribute '{name}'" + (rf"; did you mean ({near}\b|.* {near}\b).*\?$" if near else "$")
    with pytest.raises(AttributeError, match=words):
        getattr(fl, name)


@pytest.mark.parametrize("spec, words", [
    ("accuracy", "^unknown loss 'accuracy'; `fastloss losses` lists them all$"),
    ("log_los", "^unknown loss 'log_los'; did you mean 'log_loss'.*\\? `fastloss losses` lists them all$"),
    ("huber:detla=2", "of its parameters: delta; did you mean 'delta'\\?$"), ("huber:x=2", "of its parameters: delta$"),
    ("huber:delta=2,delta=3", "of its parameters: delta$"),
])  # fmt: skip
def test_mistyped_losses_and_parameters(monkeypatch, spec, words):
    monkeypatch.setattr(families, "OWN", {})  # other tests' own losses have names, too
    with pytest.raises(ValueError, match=words):
        fl.get(spec)


@pytest.mark.parametrize("y, p", [((3,), (4,)), ((3, 1), (3,)), ((1,), (3,)), ((2, 3), (3, 2))])
def test_shapes(y, p):
    with pytest.raises(ValueError, match="`y_true` has shape .* but `y_pred` has .*; shapes must be equal"):
        fl.mse(np.ones(y), np.ones(p))
    with pytest.raises(ValueError, match="`sample_weight` has shape"):
        fl.mse(np.ones(p), np.ones(p), np.ones(y))


@pytest.mark.parametrize("options, words", [
    ({"reduction": "avg"}, "`reduction` must be one of 'mean', 'sum', got 'avg'"),
    ({"nan": "ignore"}, "`nan` must be one of 'propagate', 'skip', 'raise'"),
    ({"n_threads": 0}, "`n_threads` must be a whole number from 1"), ({"n_threads": 1.5}, "`n_threads`"),
    ({"n_threads": True}, "`n_threads`"),
])  # fmt: skip
@pytest.mark.parametrize("n", [5, 5000])
def test_options(options, words, n):
    with pytest.raises(ValueError) as caught:
        fl.mse(np.ones(n), np.ones(n), **options)
    assert words in str(caught.value)


def test_a_failed_update_leaves_the_state_as_it_was():
    state = fl.State(["poisson_deviance", "mse"]).update(np.ones(10), np.full(10, 2.0))
    before = state.to_bytes()
    with pytest.raises(fl.InputError):
        state.update(put(5000, -1.0), GOOD)
    assert state.to_bytes() == before


def test_the_index_is_the_callers_whatever_the_layouts():
    y, p = np.asfortranarray(np.ones((3, 4))), np.asfortranarray(np.full((3, 4), 0.5))
    y[2, 1] = 5.0
    for buffer in (None, np.empty((3, 4)), np.empty((3, 4), order="F")):
        with pytest.raises(fl.InputError, match=r"got 5.0 at index \(2, 1\)"):
            fl.LogLoss().loss(y, p, loss_out=buffer)


def test_parameters_stay_in_their_domain():
    for make in (lambda: fl.Huber(delta=np.inf), lambda: fl.get("huber:delta=1e400"), lambda: fl.SmoothL1(beta=float("inf"))):
        with pytest.raises(ValueError, match="must be >=? 0, got"):
            make()
    for c in (float("inf"), 1e16, 1e-16, 0.0):
        with pytest.raises(ValueError, match=r"`c` of `fair` must be in \[1e-15, 1e\+15\], got"):
            fl.Fair(c=c)
    with pytest.raises(ValueError, match=r"`power` of `tweedie_loss` must be in \(1, 2\); 1.0000000000000002 is 1.0 in float32"):
        fl.TweedieLoss(power=1.0000000000000002)(np.ones(3, np.float32), np.ones(3, np.float32))
    with pytest.raises(TypeError):
        fl.Huber().parameters["delta"] = 5.0
    with pytest.raises(TypeError, match="weights are given as `sample_weight`"):
        fl.mse(np.ones(3), np.ones(3), weight=np.ones(3))
    assert fl.mape([1.0], [2.0], percent=True) == 100.0
    with pytest.raises(ValueError, match="`percent`"):
        fl.mape([1.0], [2.0], percent=1)


@pytest.mark.parametrize("n", [9, 9000])
def test_the_first_bad_value_is_named_be_it_of_y_or_of_p(n):
    y, p = np.ones(n), np.full(n, 0.5)
    y[7], p[5] = 3.0, 2.0
    for w in (None, np.ones(n)):
        with pytest.raises(fl.InputError, match="`y_pred` of `log_loss`.* index 5"):
            fl.log_loss(y, p, w)


@pytest.mark.parametrize("argument", ["y_true", "y_pred", "sample_weight"])
@pytest.mark.parametrize("given", [[1, [2]], [[1.0], [2.0, 3.0]], ([1, 2], 3)])
def test_ragged_lists_are_named(argument, given):
    arguments = {"y_true": np.ones(2), "y_pred": np.ones(2), "sample_weight": np.ones(2), argument: given}
    with pytest.raises(ValueError, match=f"^`{argument}` cannot be made an array: .*inhomogeneous") as caught:
        fl.mse(**arguments)
    assert not isinstance(caught.value, fl.InputError)


@pytest.mark.parametrize("argument", ["y_true", "y_pred", "sample_weight"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("sign", [1, -1])
def test_integers_beyond_float64(argument, dtype, sign):
    arguments = {"y_true": np.ones(2, dtype), "y_pred": np.ones(2, dtype), "sample_weight": np.ones(2), argument: sign * 10**400}
    with pytest.raises(ValueError, match=f"`{argument}` is beyond float64"):
        fl.mse(**arguments)


def test_integers_beyond_int64_are_the_float_that_is_nearest():
    y, p = np.arange(2), np.arange(2) * 2
    for weight in (2**63, 2**64, 10**30):
        assert fl.mse(y, p, weight) == fl.mse(y, p, float(weight)) == 0.5
    for target in (2**63, -(2**70)):
        assert fl.mae(target, p) == fl.mae(float(target), p)


def test_parameters_are_attributes():
    loss = fl.Huber(delta=2.0)
    assert loss.delta == 2.0 and "delta" in dir(loss) and fl.LogLoss(clip="sklearn").clip == "sklearn"
    assert copy.deepcopy(loss).delta == pickle.loads(pickle.dumps(loss)).delta == 2.0 and not hasattr(fl.Huber.__new__(fl.Huber), "delta")
    with pytest.raises(AttributeError, match="does not change"):
        loss.delta = 3.0
    for one, name, words in (
        (loss, "dleta", "`huber` has no attribute 'dleta', and its parameters are delta; did you mean 'delta'?"),
        (fl.SquaredError(), "delta", "`squared_error` has no attribute 'delta', and it has no parameters"),
        (loss, "__array__", "'Huber' object has no attribute '__array__'"),
    ):
        with pytest.raises(AttributeError) as caught:
            getattr(one, name)
        assert str(caught.value) == words and not hasattr(one, name)


@pytest.mark.parametrize(
    ("host", "name", "words"),
    [
        ("metrics", "accuracy_score", "others are in sklearn.metrics"),
        ("metrics", "mean_square_error", "did you mean 'mean_squared_error'?"),
        ("sklearn", "LogisticRegression", "it has HalfSquaredError, "), ("torch", "Linear", "it has losses of torch.nn"),
        ("torch", "triplet_margin_loss", "use torch.nn.functional.triplet_margin_loss"), ("torch", "mseloss", "did you mean 'mse_loss'?"),
        ("jax", "ctc_loss", "it has losses of optax"), ("keras", "Huberr", "did you mean 'Huber'?"),
    ],
)  # fmt: skip
def test_what_a_module_has_not(host, name, words):
    if host not in ("metrics", "sklearn"):
        pytest.importorskip(host)
    module, space = importlib.import_module(f"fastloss.{host}"), {}
    with pytest.raises(AttributeError) as caught:
        getattr(module, name)
    assert words in str(caught.value) and name in str(caught.value)
    exec(f"from fastloss.{host} import *", space)
    assert set(module.__all__) == set(space) - {"__builtins__"} and not hasattr(module, "__wrapped__") and "absent" not in dir(module)
