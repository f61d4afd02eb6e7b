"""fastloss.torch beside torch.nn.functional: results of every function, option, reduction, dtype, shape and layout; edges; errors."""

import inspect
import warnings

import pytest

torch = pytest.importorskip("torch", minversion="2.6")

import fastloss.torch as ft  # noqa: E402
from tests import torch_cases as cases  # noqa: E402

F = torch.nn.functional
FUNCTIONS = sorted({name.removesuffix("_of_probabilities") for name, _ in cases.PLAIN})
# In float64, torch's sums of terms of both signs (logits of a right prediction, say) leave errors of a few roundings of these terms, which
# here are up to about 8: they are what results are measured by. What does not cancel is measured by itself.
CANCELS = ("binary_cross_entropy_with_logits", "cross_entropy", "cross_entropy_of_probabilities", "poisson_nll_loss", "kl_div")


@pytest.fixture(autouse=True)
def _quiet():
    """kl_div's and legacy arguments' warnings have a test of their own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def least(name):
    return 8.0 if name in CANCELS else 0.0


@pytest.mark.parametrize("case", cases.CASES, ids=cases.ident)
def test_float64_is_torchs_to_4_ulp(case):
    name, options, reduction = case
    for seed in range(5):
        x, t = cases.inputs(name, seed=seed)
        (value, gradient), (theirs, slope) = cases.both(ft, F, name, options, reduction, x, t)
        assert value.dtype == theirs.dtype and value.shape == theirs.shape and gradient.dtype == slope.dtype
        assert cases.ulps(value, theirs, least(name)) <= 4
        assert cases.ulps(gradient, slope, least(name)) <= 4


@pytest.mark.parametrize("case", cases.CASES, ids=cases.ident)
def test_float32_is_as_near_to_the_truth_as_torchs(case):
    """Of every number; where terms cancel, which no library's rounding of them survives, of the largest."""
    name, options, reduction = case
    measure = cases.distance if name in CANCELS else cases.ulps
    for seed in range(5):
        x, t = cases.inputs(name, torch.float32, seed=seed)
        mine, theirs = cases.both(ft, F, name, options, reduction, x, t)
        for found, own, truth in zip(mine, theirs, cases.exact(F, name, options, reduction, x, t), strict=True):
            assert found.dtype is torch.float32
            assert measure(found, truth) <= max(4, measure(own, truth))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("case", [case for case in cases.CASES if "weight" not in case[1]], ids=cases.ident)
def test_half_precision(case, dtype):
    """One rounding of what float32 computes; of gradients one more, where they are multiplied by what is above. (Weights are rounded to the
    dtype before.) torch itself has not all of these."""
    name, options, reduction = case
    x, t = cases.inputs(name, dtype)
    mine, truth = cases.result(ft, name, options, reduction, x, t), cases.exact(F, name, options, reduction, x, t)
    for found, exact, limit in zip(mine, truth, (0.51, 1.51), strict=True):
        assert found.dtype is dtype
        assert cases.ulps(found, exact, 2.0**-12) <= limit


@pytest.mark.parametrize("case", cases.every_shape(), ids=lambda case: f"{cases.ident(case[:2])}-{case[2]}")
def test_shapes(case):
    name, options, shape = case
    for reduction in cases.REDUCTIONS[name]:
        x, t = cases.inputs(name, shape=shape)
        (value, gradient), (theirs, slope) = cases.both(ft, F, name, options, reduction, x, t)
        assert value.shape == theirs.shape and gradient.shape == slope.shape
        assert cases.ulps(value, theirs, least(name)) <= 4 and cases.ulps(gradient, slope, least(name)) <= 4


LAYOUTS = {
    "transposed": lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
    "strided": lambda x: torch.stack([x, x], -1)[..., 0],
    "backwards strided": lambda x: torch.cat([x, x])[::2],
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x.clone(),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", [*cases.ELEMENTWISE, *cases.ROWS])
def test_layouts(name, layout):
    shape = (4, 6, 2, 2) if name in (*cases.ELEMENTWISE, *cases.IMAGES, "kl_div") else (8, 5)
    x, t = cases.inputs(name, shape=shape)
    x = LAYOUTS[layout](x)
    t = t[: x.shape[0]] if layout != "transposed" else t
    for reduction in cases.REDUCTIONS[name]:
        for dtype in (torch.float64, torch.bfloat16):
            given = x.to(dtype)
            target = t.to(dtype) if t.is_floating_point() else t
            results = []
            for one in (given, given.contiguous()):
                leaf = one.detach().requires_grad_()
                value = cases.function(ft, name)(leaf, target, reduction=reduction)
                value.backward(torch.full_like(value, 0.5))
                results.append((value.detach(), leaf.grad))
            (value, gradient), (plain, slope) = results
            assert torch.equal(value, plain) and torch.equal(gradient, slope)
            if layout == "channels last" and x.dim() == 4:
                assert gradient.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_signatures_are_torchs(name):
    mine, theirs = inspect.signature(getattr(ft, name)), inspect.signature(getattr(F, name))
    wanted = [(one.name, one.default) for one in theirs.parameters.values()]
    found = [(one.name, one.default) for one in mine.parameters.values()]
    assert found[: len(wanted)] == wanted and {name for name, _ in found[len(wanted) :]} <= {"weight"}  # which older versions have not


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if "size_average" in inspect.signature(getattr(F, name)).parameters])
@pytest.mark.parametrize("legacy", [{"size_average": False}, {"reduce": False}, {"size_average": True, "reduce": True}], ids=str)
def test_legacy_arguments(name, legacy):
    x, t = cases.inputs(name)
    if name == "kl_div" and legacy == {"reduce": False}:
        pytest.skip("no kernel of fastloss: torch's own")
    with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
        value = getattr(ft, name)(x, t, **legacy)
    assert cases.ulps(value, getattr(F, name)(x, t, **legacy), least(name)) <= 4


def test_kl_div_warns_of_its_mean_as_torch_does():
    x, t = cases.inputs("kl_div")
    with pytest.warns(UserWarning, match="'mean' divides the total loss by both the batch size and the support size"):
        ft.kl_div(x, t)


WEIGHTS = {
    "elements": lambda x: torch.linspace(0.0, 2.0, x.numel(), dtype=x.dtype).reshape(x.shape),
    "columns": lambda x: torch.linspace(0.5, 2.0, x.shape[-1], dtype=x.dtype),
    "rows": lambda x: torch.linspace(0.5, 2.0, x.shape[0], dtype=x.dtype)[:, None],
    "one": lambda x: torch.tensor(1.5, dtype=x.dtype),
    "negative": lambda x: -torch.ones_like(x),
    "zero": lambda x: torch.zeros_like(x),
}


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_weights_of_elements(name, weight, reduction):
    x, t = cases.inputs(name)
    w = WEIGHTS[weight](x)
    results = []
    for module in (ft, F):
        leaf = x.clone().requires_grad_()
        try:
            value = getattr(module, name)(leaf, t, reduction=reduction, weight=w)
        except ValueError as error:
            results.append(str(error))
        else:
            value.backward(torch.ones_like(value))
            results.append((value.detach(), leaf.grad))
    if isinstance(results[1], str):
        assert results[0] == results[1]
    else:
        assert all(cases.ulps(mine, theirs, least(name)) <= 4 for mine, theirs in zip(*results, strict=True))


@pytest.mark.parametrize("pos_weight", [torch.tensor(2.5), torch.linspace(0.5, 3.0, 7), torch.tensor([0.0]), torch.ones(6, 7)], ids=str)
@pytest.mark.parametrize("weight", [None, torch.linspace(0.5, 2.0, 7)], ids=["", "weight"])
def test_pos_weights(pos_weight, weight):
    x, t = cases.inputs("binary_cross_entropy_with_logits")
    pos_weight, weight = pos_weight.double(), None if weight is None else weight.double()
    mine = ft.binary_cross_entropy_with_logits(x, t, weight, pos_weight=pos_weight)
    assert cases.ulps(mine, F.binary_cross_entropy_with_logits(x, t, weight, pos_weight=pos_weight)) <= 4


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "soft_margin_loss", "poisson_nll_loss"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.int8, torch.float64], ids=str)
def test_targets_of_other_dtypes(name, dtype):
    x = cases.inputs(name, torch.float32)[0]
    t = torch.ones(x.shape, dtype=dtype)
    mine, theirs = getattr(ft, name)(x, t), getattr(F, name)(x, t)
    assert mine.dtype == theirs.dtype and cases.ulps(mine, theirs) <= 4


def test_broadcasting_warns_as_torch_does():
    x, t = torch.randn(5, 1), torch.randn(4)
    for name in ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss"):
        with pytest.warns(UserWarning, match="Using a target size .* that is different to the input size"):
            value = getattr(ft, name)(x, t)
        assert torch.equal(value, getattr(F, name)(x, t))


MARGINS = ("multi_margin_loss", "multilabel_margin_loss")


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in MARGINS])
def test_empty(name):
    shape = (0, 5) if name in cases.ROWS else (0,)
    x, t = cases.inputs(name, shape=shape)
    for reduction in cases.REDUCTIONS[name]:
        results = []
        for module in (ft, F):
            leaf = x.clone().requires_grad_()
            try:
                value = getattr(module, name)(leaf, t, reduction=reduction)
            except RuntimeError as error:
                results.append(str(error))
            else:
                results.append(value.detach())
        assert isinstance(results[0], str) or results[0].shape == results[1].shape
        assert results[0] == results[1] if isinstance(results[1], str) else cases.ulps(*results) == 0


@pytest.mark.parametrize("name", MARGINS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_no_rows_where_torch_returns_what_was_in_memory(name, dtype):
    x, t = cases.inputs(name, dtype, shape=(0, 5))
    for reduction, wanted in (("mean", [float("nan")]), ("sum", [0.0]), ("none", [])):
        for _ in range(20):
            junk = torch.full((64,), 3.0, dtype=dtype)  # noqa: F841 - what its memory holds is what torch would return
            del junk
            leaf = x.clone().requires_grad_()
            value = getattr(ft, name)(leaf, t, reduction=reduction)
            assert value.dtype is dtype and value.shape == getattr(F, name)(x, t, reduction=reduction).shape
            assert cases.ulps(value.reshape(-1), torch.tensor(wanted, dtype=dtype)) == 0
            value.sum().backward()
            assert leaf.grad.shape == x.shape
    with pytest.raises(RuntimeError, match="non-empty"):
        getattr(ft, name)(x.reshape(5, 0), t.new_empty(5, *([0] * (t.dim() - 1))))


def test_all_rows_ignored():
    x = torch.randn(3, 4, requires_grad=True)
    for name in ("cross_entropy", "nll_loss"):
        value = getattr(ft, name)(x, torch.full((3,), -100))
        assert value.isnan() and getattr(ft, name)(x, torch.full((3,), -100), reduction="sum") == 0


EXTREMES = {
    "binary_cross_entropy": ([0.0, 1.0, 1.0, 0.0, 0.5, 1e-30], [0.0, 1.0, 0.0, 1.0, 0.25, 1.0]),  # torch's bounds: -100 and 1e-12
    "binary_cross_entropy_with_logits": ([200.0, -200.0, 200.0, -200.0, 0.0, 1e4], [0.0, 1.0, 1.0, 0.0, 2.0, -1.0]),
    "soft_margin_loss": ([1.0, -2.0, 3.0], [0.5, 2.0, 0.0]),
    "poisson_nll_loss": ([1.0, -2.0, 3.0], [0.5, -2.0, 1.0]),
    "huber_loss": ([float("inf"), float("nan"), 1.0], [0.0, 0.0, 3.0]),
    "mse_loss": ([1e200, float("nan"), -1e200], [0.0, 0.0, 3.0]),
}


@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_values_that_fastloss_has_other_views_of(name, reduction):
    x, t = (torch.tensor(values, dtype=torch.float64) for values in EXTREMES[name])
    (value, gradient), (theirs, slope) = cases.both(ft, F, name, {}, reduction, x, t)
    assert cases.ulps(value, theirs) <= 4 and cases.ulps(gradient, slope, 1e-60) <= 4


def test_what_is_beyond_float32_is_infinite():
    x = torch.full((2,), 3e38)
    assert ft.l1_loss(x, -x / 8, reduction="sum") == float("inf") == F.l1_loss(x, -x / 8, reduction="sum")


BAD = {
    "a label that is no class": lambda m: m.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 3])),
    "a negative label": lambda m: m.nll_loss(torch.zeros(2, 3), torch.tensor([0, -1])),
    "labels of int32": lambda m: m.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1], dtype=torch.int32)),
    "labels of another shape": lambda m: m.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1, 2])),
    "class weights of another size": lambda m: m.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1]), torch.ones(4)),
    "shapes": lambda m: m.binary_cross_entropy(torch.rand(3), torch.rand(4)),
    "shapes of logits": lambda m: m.binary_cross_entropy_with_logits(torch.rand(3), torch.rand(4)),
    "a probability above 1": lambda m: m.binary_cross_entropy(torch.tensor([0.5, 1.5]), torch.ones(2)),
    "a reduction": lambda m: m.mse_loss(torch.rand(3), torch.rand(3), reduction="median"),
    "a list": lambda m: m.mse_loss([1.0], torch.rand(1)),
    "integers": lambda m: m.mse_loss(torch.ones(3, dtype=torch.int64), torch.ones(3, dtype=torch.int64)),
    "p": lambda m: m.multi_margin_loss(torch.rand(2, 3), torch.tensor([0, 1]), p=3),
    "delta": lambda m: m.huber_loss(torch.rand(3), torch.rand(3), delta=-1.0),
    "margins of three dimensions": lambda m: m.multi_margin_loss(torch.rand(2, 3, 4), torch.zeros(2, 4, dtype=torch.int64)),
    "margins of no dimension of classes": lambda m: m.multilabel_margin_loss(torch.rand(2, 3, 4), torch.zeros(2, 3, 4, dtype=torch.int64)),
    "a class of multilabel_margin": lambda m: m.multilabel_margin_loss(torch.rand(1, 3), torch.tensor([[7, -1, -1]])),
}


@pytest.mark.parametrize("what", BAD)
def test_errors_are_of_torchs_kind(what):
    with pytest.raises(Exception) as theirs:  # noqa: PT011, B017 - torch's kind, whichever that is
        BAD[what](F)
    with pytest.raises(theirs.type):
        BAD[what](ft)


def test_a_bad_label_is_told_with_its_place():
    with pytest.raises(
        IndexError,
        match=r"`target` of `softmax_cross_entropy` must be a class from 0 to 2 .*, got 3 at index 1; .*pass target - 1 \(Target 3",
    ):
        BAD["a label that is no class"](ft)


def test_other_devices():
    x = torch.empty(3, device="meta")
    for arguments in ((x, x), (torch.rand(3), x), (x, torch.rand(3))):
        with pytest.raises(
            RuntimeError, match=r"fastloss\.torch\.mse_loss: fastloss computes on CPUs; got a tensor on device 'meta'; call \.cpu\(\)"
        ):
            ft.mse_loss(*arguments)
