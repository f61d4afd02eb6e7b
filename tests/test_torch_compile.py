"""fastloss.torch under torch.compile: whole graphs, the same bits as eagerly, the operator's own checks, dynamic shapes."""

import pytest

torch = pytest.importorskip("torch", minversion="2.6")

import fastloss as fl  # noqa: E402
import fastloss.torch as ft  # noqa: E402
from fastloss.adapters.torch.autograd import operator  # noqa: E402
from tests import torch_cases as cases  # noqa: E402

F = torch.nn.functional
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning")  # torch's own


def compiled(function, **options):
    """Without a compiler of C++, which fastloss does not need: what is tried is the graph. fullgraph: a break of it is an error."""
    torch._dynamo.reset()
    return torch.compile(function, fullgraph=True, backend="aot_eager", **options)


def step(function, x, t, *more):
    leaf = x.detach().clone().requires_grad_()
    value = function(leaf, t, *more)
    value.backward(torch.full_like(value, 0.75))
    return value.detach(), leaf.grad


@pytest.mark.parametrize("case", cases.PLAIN, ids=cases.ident)
def test_one_graph_with_the_same_bits(case):
    name, options = case
    x, t = cases.inputs(name, torch.float32)
    t, named = cases.target_of(name, options, t), cases.keywords(name, options, x, cases.REDUCTIONS[name][len(options) % 2])

    def function(x, t):
        return cases.function(ft, name)(x * 1.0, t, **named)

    for mine, eager in zip(step(compiled(function), x, t), step(function, x, t), strict=True):
        assert mine.dtype == eager.dtype and torch.equal(mine, eager)


def test_without_gradients():
    x, t = cases.inputs("cross_entropy", torch.float32)
    for function in (ft.cross_entropy, lambda x, t: ft.cross_entropy(x, t, reduction="none")):
        assert torch.equal(compiled(function)(x, t), function(x, t))


def test_no_break_is_found_by_explain():
    x, t = cases.inputs("cross_entropy", torch.float32)
    torch._dynamo.reset()
    found = torch._dynamo.explain(lambda x, t: ft.cross_entropy(x.relu(), t))(x.requires_grad_(), t)
    assert found.graph_break_count == 0 and any("fastloss" in str(op) for ops in found.ops_per_graph for op in ops)


def test_modules_and_losses_of_fastloss():
    x, t = torch.randn(6, 5), torch.arange(6) % 5
    w = torch.linspace(0.5, 1.5, 5)
    for module, target in (
        (ft.CrossEntropyLoss(weight=w, label_smoothing=0.1), t), (ft.HuberLoss(delta=0.5), torch.randn(6, 5)),
        (ft.BCEWithLogitsLoss(pos_weight=torch.tensor(2.0)), torch.rand(6, 5)), (ft.from_loss(fl.LogCosh()), torch.randn(6, 5)),
        (ft.from_loss("focal:gamma=1.5", reduction="sum"), (torch.rand(6, 5) > 0.5).float()), (ft.from_loss(fl.CategoricalFocal()), t),
    ):  # fmt: skip
        for mine, eager in zip(step(compiled(module), x, target), step(module, x, target), strict=True):
            assert torch.equal(mine, eager)


def test_dynamic_shapes():
    run = compiled(lambda x, t: ft.cross_entropy(x, t), dynamic=True)
    for n in (3, 8, 21):
        x, t = cases.inputs("cross_entropy", torch.float32, shape=(n, 5))
        assert all(torch.equal(*pair) for pair in zip(step(run, x, t), step(ft.cross_entropy, x, t), strict=True))


def test_targets_that_require_grad():
    for name in ("mse_loss", "binary_cross_entropy_with_logits"):  # the input's mirror, and torch's own
        x, t = cases.inputs(name)
        results = []
        for function in (compiled(getattr(ft, name)), getattr(F, name)):
            one, other = x.clone().requires_grad_(), t.clone().requires_grad_()
            function(one, other).backward()
            results.append((one.grad, other.grad))
        assert all(cases.ulps(*pair, 1.0) <= 4 for pair in zip(*results, strict=True))


def test_values_that_are_torchs_are_computed_at_run_time():
    """What the values are is not known to the graph."""
    x, t = torch.tensor([0.0, 1.0, 0.5]), torch.tensor([0.0, 0.0, 1.0])
    run = compiled(lambda x, t: ft.binary_cross_entropy(x, t))
    assert all(torch.equal(*pair) for pair in zip(step(run, x, t), step(F.binary_cross_entropy, x, t), strict=True))
    with pytest.raises(Exception, match="Target 9 is out of bounds"):
        compiled(lambda x, t: ft.cross_entropy(x, t))(torch.zeros(2, 3), torch.tensor([0, 9]))


@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_opcheck(reduction, dtype):
    torch._dynamo.reset()
    x, t = torch.randn(4, 3, dtype=dtype).requires_grad_(), torch.randn(4, 3, dtype=dtype)
    torch.library.opcheck(operator, ("huber_loss", x, t, None, None, reduction, [0.5], True))
    torch.library.opcheck(
        operator, ("cross_entropy", x, torch.arange(4) % 3, torch.ones(3, dtype=dtype), None, reduction, [-100.0, 0.1], True)
    )
    torch.library.opcheck(operator, ("log_cosh", x.detach(), t, None, None, reduction, [], False))


LAYOUTS = {
    "transposed": lambda x: x.transpose(0, -1).contiguous().transpose(0, -1),
    "strided": lambda x: torch.stack([x, x], -1)[..., 0],
    "expanded": lambda x: x[:1].expand(x.shape),
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_results_lie_as_the_operator_says(layout, reduction):
    """Code that inductor makes checks their strides."""
    x, y = LAYOUTS[layout](torch.randn(4, 3, 5, 6)).detach(), torch.rand(4, 3, 5, 6)
    for name, target in (("mse_loss", y), ("binary_cross_entropy_with_logits", 2 * y), ("cross_entropy", torch.randint(0, 3, (4, 5, 6)))):
        options = [-100.0, 0.0] if name == "cross_entropy" else []
        arguments = (name, x, target, None, None, reduction, options, True)
        fake = torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True)
        with fake:
            said = operator(*(fake.from_tensor(one) if isinstance(one, torch.Tensor) else one for one in arguments))
        assert [one.stride() for one in operator(*arguments)] == [one.stride() for one in said]


def test_autocast_gives_what_torch_gives():
    x, t = torch.randn(6, 5).bfloat16(), torch.arange(6) % 5
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = compiled(lambda x, t: ft.cross_entropy(x, t))(x, t)
        assert found.dtype is torch.float32 and torch.equal(found, torch.nn.functional.cross_entropy(x, t))


def test_function_transforms():
    x, t = torch.randn(4, 5), torch.randn(4, 5)
    for transform in (torch.func.grad, torch.func.vmap, torch.func.hessian):
        found = compiled(lambda x, t, transform=transform: transform(ft.mse_loss)(x, t))(x, t)
        torch.testing.assert_close(found, transform(torch.nn.functional.mse_loss)(x, t))
