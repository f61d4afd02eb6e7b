"""Modules in torch.nn's shape, any loss of fastloss as a module, and what fastloss.torch has not."""

import copy
import doctest
import inspect
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", minversion="2.6")

import fastloss as fl  # noqa: E402
import fastloss.torch as ft  # noqa: E402
from fastloss.adapters.torch.modules import MODULES  # noqa: E402
from fastloss.losses import REGISTRY  # noqa: E402
from tests import torch_cases as cases  # noqa: E402
from tests.accuracy import pairs  # noqa: E402

F = torch.nn.functional
ARGUMENTS = {
    "HuberLoss": [{"delta": 0.5}], "SmoothL1Loss": [{"beta": 0.5}], "BCELoss": [{"weight": 7}],
    "BCEWithLogitsLoss": [{"weight": 7, "pos_weight": 1}, {"pos_weight": 7}],
    "CrossEntropyLoss": [{"weight": 5, "ignore_index": 1, "label_smoothing": 0.1}], "NLLLoss": [{"weight": 5, "ignore_index": 2}],
    "KLDivLoss": [{"log_target": True, "reduction": "batchmean"}], "PoissonNLLLoss": [{"log_input": False}, {"full": True}],
    "MultiLabelSoftMarginLoss": [{"weight": 5}], "MultiMarginLoss": [{"p": 2, "margin": 0.5, "weight": 5}],
}  # fmt: skip
CASES = [(name, arguments) for name in MODULES for arguments in ({}, {"reduction": "sum"}, *ARGUMENTS.get(name, []))]


def made(module, name, arguments):
    tensors = {key: torch.linspace(0.5, 2.0, size, dtype=torch.float64) for key, size in arguments.items() if key.endswith("weight")}
    return getattr(module, name)(**arguments | tensors)


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_modules_are_torchs(case):
    name, arguments = case
    function = MODULES[name][0]
    mine, theirs = made(ft, name, arguments), made(torch.nn, name, arguments)
    x, t = cases.inputs(function)
    t = cases.target_of(function, arguments, t)
    x = x.abs() if arguments.get("log_input") is False else x
    assert cases.ulps(mine(x, t), theirs(x, t), 8.0) <= 4
    assert isinstance(mine, getattr(torch.nn, name)) and repr(mine) == repr(theirs)
    assert inspect.signature(type(mine)) == inspect.signature(type(theirs))
    theirs.load_state_dict(mine.state_dict())
    mine.load_state_dict(theirs.state_dict())
    for again in (pickle.loads(pickle.dumps(mine)), copy.deepcopy(mine)):
        assert type(again) is type(mine) and torch.equal(again(x, t), mine(x, t))


def test_modules_warn_of_old_arguments_as_torchs_do():
    with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
        assert ft.MSELoss(size_average=False).reduction == "sum"


@pytest.mark.parametrize("name", [name for name, definition in REGISTRY.items() if not definition.base and not definition.rows])
def test_any_elementwise_loss(name):
    loss = fl.get(name)
    y, p = (array[:200] for array in pairs(loss.definition, "float64"))
    keep = np.isfinite(loss.loss(y, p)) & np.isfinite(loss.gradient(y, p))
    y, p = y[keep], p[keep]
    w = np.linspace(0.0, 2.0, len(y))
    for weights in (None, w):
        for reduction in ("mean", "sum", "none"):
            x = torch.from_numpy(p).requires_grad_()
            value = ft.from_loss(loss)(x, torch.from_numpy(y), None if weights is None else torch.from_numpy(weights), reduction)
            value.backward(torch.ones_like(value))
            if reduction == "mean":
                cost, gradient = loss.cost_gradient(y, p, weights)
            elif reduction == "sum":
                cost, gradient = loss(y, p, weights, reduction="sum"), loss.gradient(y, p, weights)
            else:
                cost, gradient = loss.loss_gradient(y, p, weights)
            assert np.array_equal(value.detach().numpy(), cost) and np.array_equal(x.grad.numpy(), gradient)


@pytest.mark.parametrize(
    "text", ["log_cosh", "tweedie_loss:power=1.5", "pseudo_huber:delta=2", "logistic:pos_weight=3,label_smoothing=0.1", "squared_error"]
)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradcheck_and_gradgradcheck_of_losses(text, reduction, weighted):
    torch.manual_seed(0)
    x, t, w = torch.randn(7, dtype=torch.float64), torch.rand(7, dtype=torch.float64), torch.rand(7, dtype=torch.float64)
    module = ft.from_loss(fl.get(text), reduction)
    call = lambda x: module(x, t, w if weighted else None)  # noqa: E731
    assert torch.autograd.gradcheck(call, x.requires_grad_())
    assert torch.autograd.gradgradcheck(call, x)


def test_third_derivatives_of_losses_are_refused():
    x, t = torch.randn(4, dtype=torch.float64, requires_grad=True), torch.rand(4, dtype=torch.float64)
    (first,) = torch.autograd.grad(ft.from_loss("log_cosh")(x, t), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        second.sum().backward()


@pytest.mark.parametrize("text", ["categorical_focal", "softmax_cross_entropy:temperature=2", "kl_divergence_with_logits", "poly1"])
@pytest.mark.parametrize("shape", [(5,), (6, 5), (2, 5, 3)], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_of_rows(text, shape, reduction):
    torch.manual_seed(0)
    loss = fl.get(text)
    axis = 0 if len(shape) == 1 else 1
    outer = shape[:axis] + shape[axis + 1 :]
    x = torch.randn(shape, dtype=torch.float64)
    t = torch.randint(0, 5, outer) if loss.labels else torch.randn(shape, dtype=torch.float64).softmax(axis)
    w = torch.rand(outer, dtype=torch.float64)
    module = ft.from_loss(loss, reduction)
    assert torch.autograd.gradcheck(lambda x: module(x, t, w), x.requires_grad_())
    assert module(x, t).shape == (torch.Size(outer) if reduction == "none" else ())
    value = module(x, t, w)
    (slope,) = torch.autograd.grad(value, x, torch.ones_like(value), create_graph=True)
    with pytest.raises(RuntimeError, match="has no second derivative"):
        slope.sum().backward()


def test_costs_that_are_no_means():
    p, y = torch.rand(9, dtype=torch.float64, requires_grad=True), (torch.rand(9) > 0.5).double()
    value = ft.from_loss(fl.Dice())(p, y)
    value.backward()
    cost, gradient = fl.Dice().cost_gradient(y.numpy(), p.detach().numpy())
    assert value == cost and np.array_equal(p.grad.numpy(), gradient)
    assert ft.from_loss("rmse")(p.detach(), y) == fl.rmse(y.numpy(), p.detach().numpy())
    with pytest.raises(TypeError, match="`root_mean_squared_error` is the root of a mean"):
        ft.from_loss("rmse")(p, y)


def test_modules_of_losses():
    module = ft.from_loss("tweedie_loss:power=1.2", "sum")
    assert repr(module) == "Loss(TweedieLoss(power=1.2, half=True, constants=False), reduction='sum')"
    again = pickle.loads(pickle.dumps(module))
    x, t = torch.randn(5), torch.rand(5)
    assert torch.equal(again(x, t), module(x, t)) and torch.equal(copy.deepcopy(module)(x, t), module(x, t))
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        leaf = x.to(dtype).requires_grad_()
        module(leaf, t.to(dtype)).backward()
        assert leaf.grad.dtype is dtype


def test_errors_of_losses():
    module, x = ft.from_loss("huber"), torch.rand(3)
    for arguments, what in {
        (x, torch.rand(4)): r"`huber:delta=1.0` takes a floating input, a target of its shape",
        (x, x, torch.rand(4)): r"got .* weight \(4,\)",
        (x, x, None, "median"): "median is not a valid value for reduction",
        (x, x.clone().requires_grad_()): "`target` requires grad, but fastloss has no derivative by it; pass target.detach()",
        (x, torch.tensor([0.0, 1.0, 2.0]), -x): r"`weight` must be finite and >= 0, got .* at index 0",
    }.items():
        with pytest.raises((ValueError, RuntimeError), match=what):
            module(*arguments)
    with pytest.raises(TypeError, match="`target` of .* must be a tensor, got list"):
        module(x, [1.0, 2.0, 3.0])
    with pytest.raises(RuntimeError, match=r"computes on CPUs; got a tensor on device 'meta'; call \.cpu\(\)"):
        module(x, torch.empty(3, device="meta"))
    with pytest.raises(fl.InputError, match="`target` of `poisson_loss` must be >= 0, got -1.0 at index 1"):
        ft.from_loss("poisson_loss")(x, torch.tensor([1.0, -1.0, 2.0]))


def test_what_is_not_there_is_said():
    for name in ("ctc_loss", "gaussian_nll_loss", "CTCLoss", "TripletMarginLoss", "cosine_embedding_loss"):
        where = "torch.nn" if name[0].isupper() else "torch.nn.functional"
        with pytest.raises(AttributeError, match=f"fastloss has no kernel of {name}: use {where}.{name}"):
            getattr(ft, name)
    with pytest.raises(AttributeError, match="module 'fastloss.torch' has no attribute 'nothing'"):
        ft.nothing  # noqa: B018


def test_every_loss_of_torch_is_there_or_named_as_absent():
    """torch's list, against ours and the docstring's."""
    theirs = {name for name in dir(F) if name.endswith("_loss") or name.startswith("kl_div") or "cross_entropy" in name}
    theirs = {name for name in theirs if getattr(getattr(F, name), "__module__", "").startswith("torch") and not name.startswith("_")}
    assert theirs == {name for name in (*ft.__all__, *ft.ABSENT) if name[0].islower() and name != "from_loss"}
    modules = {name for name in dir(torch.nn) if name.endswith("Loss")}
    assert modules - set(ft.ABSENT) - {"NLLLoss2d"} <= set(ft.__all__)


def test_examples_of_docstrings_run():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [doctest.testmod(module) for module in (ft,)]
    assert all(one.attempted and not one.failed for one in found)


@pytest.mark.parametrize(
    ("stub", "what"),
    [
        ("None", 'needs torch 2.6 or later: pip install "fastloss[torch]"'),
        ("types.SimpleNamespace(__version__='2.5.1+cpu')", "and found 2.5.1+cpu"),
    ],
)
def test_torch_that_is_not_there_or_too_old(stub, what):
    code = f"import sys, types\nsys.modules['torch'] = {stub}\nimport fastloss.torch"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode and "ImportError: fastloss.torch needs torch 2.6 or later" in run.stderr and what in run.stderr


def test_functions_are_documented():
    for name in ft.__all__:
        assert getattr(ft, name).__doc__
