"""fastloss.torch and autograd: derivatives, and those of derivatives; graphs used twice; what requires grad; memory; threads."""

import copy
import gc
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", minversion="2.6")

import fastloss as fl  # noqa: E402
import fastloss.torch as ft  # noqa: E402
from tests import torch_cases as cases  # noqa: E402

F = torch.nn.functional
SMOOTH = [case for case in cases.CASES if "margin_loss" not in case[0] or "soft_margin" in case[0]]  # hinges have kinks
BY_TARGET = ["l1_loss", "mse_loss", "huber_loss", "smooth_l1_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div"]


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def is_ours(value):
    return type(value.grad_fn).__name__ == "FusedBackward"


@pytest.mark.parametrize("case", cases.CASES, ids=cases.ident)
def test_fastloss_computes_it(case):
    """And not torch, to which whatever fastloss has not is left."""
    name, options, reduction = case
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        x, t = cases.inputs(name, dtype)
        x.requires_grad_()
        assert is_ours(cases.function(ft, name)(x, cases.target_of(name, options, t), **cases.keywords(name, options, x, reduction)))


@pytest.mark.parametrize("case", SMOOTH, ids=cases.ident)
def test_gradcheck_and_gradgradcheck(case):
    name, options, reduction = case
    x, t = cases.inputs(name, seed=3)
    t, named = cases.target_of(name, options, t), cases.keywords(name, options, x, reduction)
    x.requires_grad_()

    def function(x):
        return cases.function(ft, name)(x, t, **named)

    assert torch.autograd.gradcheck(function, x)
    assert torch.autograd.gradgradcheck(function, x)


@pytest.mark.parametrize("name", BY_TARGET)
def test_derivatives_by_the_target_are_torchs(name):
    for reduction in cases.REDUCTIONS[name]:
        for with_input in (True, False):
            results = []
            for module in (ft, F):
                x, t = cases.inputs(name)
                x.requires_grad_(with_input)
                t.requires_grad_()
                value = getattr(module, name)(x, t, reduction=reduction)
                assert module is F or is_ours(value)
                value.backward(torch.full_like(value, 0.75))
                results.append((t.grad, x.grad if with_input else t.grad))
            assert all(cases.ulps(mine, theirs, 1.0) <= 4 for mine, theirs in zip(*results, strict=True))


@pytest.mark.parametrize("name", BY_TARGET)
def test_gradgradcheck_by_both(name):
    x, t = cases.inputs(name, shape=(2, 3), seed=5)
    assert torch.autograd.gradgradcheck(getattr(ft, name), (x.requires_grad_(), t.requires_grad_()))


def test_third_derivatives():
    x, t = cases.inputs("binary_cross_entropy_with_logits")
    results = []
    for module in (ft, F):
        leaf = x.clone().requires_grad_()
        value = module.binary_cross_entropy_with_logits(leaf, t)
        for _ in range(3):
            (value,) = torch.autograd.grad(value.sum(), leaf, create_graph=True)
        results.append(value)
    assert cases.ulps(*results, 1e-3) <= 4


@pytest.mark.parametrize("name", ["huber_loss", "cross_entropy"])
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_graph_that_is_kept_gives_the_same_again(name, reduction):
    x, t = cases.inputs(name)
    x.requires_grad_()
    value = getattr(ft, name)(x, t, reduction=reduction)
    above = torch.linspace(0.5, 2.0, value.numel(), dtype=value.dtype).reshape(value.shape)
    first = torch.autograd.grad(value, x, above, retain_graph=True)[0]
    kept = first.clone()
    second = torch.autograd.grad(value, x, 2.0 * above, retain_graph=True)[0]
    assert torch.equal(first, kept) and torch.equal(second, 2.0 * kept)
    value.backward(above)
    assert torch.equal(x.grad, kept)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        value.backward(above)


def test_gradients_add_up_in_grad():
    x, t = cases.inputs("mse_loss")
    x.requires_grad_()
    ft.mse_loss(x, t).backward()
    once = x.grad.clone()
    ft.mse_loss(x, t).backward()
    assert torch.equal(x.grad, 2.0 * once)
    (ft.mse_loss(x, t) + ft.huber_loss(x, t) * 0.5).backward()  # through one input twice in one graph
    other = x.detach().clone().requires_grad_()
    (F.mse_loss(other, t) + F.huber_loss(other, t) * 0.5).backward()
    assert cases.ulps(x.grad, 2.0 * once + other.grad, 1e-2) <= 4


def test_of_a_graph_and_not_of_a_leaf():
    w, t = torch.randn(7, 5, dtype=torch.float64, requires_grad=True), cases.inputs("cross_entropy", shape=(6, 5))[1]
    features = torch.randn(6, 7, dtype=torch.float64)
    results = []
    for module in (ft, F):
        w.grad = None
        module.cross_entropy(features @ w, t).backward()
        results.append(w.grad)
    assert cases.ulps(*results, 1.0) <= 4


def test_nothing_is_differentiated_that_need_not_be():
    x, t = cases.inputs("mse_loss")
    assert ft.mse_loss(x, t).grad_fn is None
    with torch.no_grad():
        assert ft.mse_loss(x.requires_grad_(), t).grad_fn is None
    with torch.inference_mode():
        value = ft.mse_loss(x, t)
        assert value.is_inference() and torch.equal(value.clone(), F.mse_loss(x, t))
        assert torch.equal(
            ft.cross_entropy(torch.zeros(2, 4), torch.tensor([1, 2])), F.cross_entropy(torch.zeros(2, 4), torch.tensor([1, 2]))
        )


def test_weights_that_require_grad_are_torchs():
    x, t = cases.inputs("mse_loss")
    w = torch.rand_like(x).requires_grad_()
    results = [torch.autograd.grad(module.mse_loss(x, t, weight=w), w)[0] for module in (ft, F)]
    assert torch.equal(*results)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's own, of its jvp
def test_function_transforms_and_forward_mode_are_torchs():
    x, t = cases.inputs("mse_loss")
    assert torch.equal(torch.func.grad(ft.mse_loss)(x, t), torch.func.grad(F.mse_loss)(x, t))
    assert torch.equal(torch.func.vmap(ft.mse_loss)(x, t), torch.func.vmap(F.mse_loss)(x, t))
    results = [torch.func.jvp(lambda x, module=module: module.mse_loss(x, t), (x,), (x,))[1] for module in (ft, F)]
    assert torch.equal(*results)


def test_autocast_gives_what_torch_gives():
    x, t = torch.randn(6, 5, requires_grad=True), torch.arange(6) % 5
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = x @ torch.eye(5)
        assert scores.dtype is torch.bfloat16
        mine, theirs = ft.cross_entropy(scores, t), F.cross_entropy(scores, t)
    assert mine.dtype == theirs.dtype and torch.equal(mine, theirs)


def test_float16_keeps_its_gradient_for_a_loss_scaler():
    """Gradients of a mean of many are below float16's least number until they are multiplied; nothing of them may be lost before."""
    n = 2**17
    x = torch.full((n,), 0.25, dtype=torch.float16, requires_grad=True)
    (ft.mse_loss(x, torch.full_like(x, 0.125)) * 1024.0).backward()
    assert (x.grad == torch.tensor(1024.0 * 2 * 0.125 / n, dtype=torch.float16)).all() and x.grad[0] > 0


def test_float16_sums_do_not_overflow_on_the_way():
    x = torch.full((2**17,), 1.0, dtype=torch.float16)
    assert ft.l1_loss(x, -x) == 2.0


def test_deepcopy_and_pickle_of_results():
    value = ft.mse_loss(torch.ones(3, requires_grad=True), torch.zeros(3))
    assert copy.deepcopy(value.detach()) == 1.0


def peak(call, n):
    """The most bytes, of NumPy's arrays and of torch's tensors, that were added while a call ran, per element."""
    import tracemalloc

    from torch.profiler import ProfilerActivity, profile

    call()
    gc.collect()
    tracemalloc.start()
    call()
    arrays = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
        call()
    tensors = sum(max(0, event.self_cpu_memory_usage) for event in run.events() if not event.is_user_annotation)
    return (arrays + tensors) / n


N = 1 << 20
MEMORY = {  # bytes per element that each of (no gradient, forwards and backwards) may take: of float32, 4 is one array
    "mse_loss": (0, 4), "huber_loss": (0, 4), "smooth_l1_loss": (0, 4), "l1_loss": (0, 4), "binary_cross_entropy_with_logits": (0, 4),
    "binary_cross_entropy": (0, 4), "poisson_nll_loss": (0, 4), "soft_margin_loss": (0, 4), "kl_div": (0, 4), "cross_entropy": (0, 4),
    "multilabel_soft_margin_loss": (0, 4), "nll_loss": (0, 4), "multi_margin_loss": (0, 4), "cross_entropy_of_probabilities": (0, 4),
}  # fmt: skip


@pytest.mark.parametrize("name", MEMORY)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_no_copy_of_the_datas_size(name, dtype):
    x, t = cases.inputs(name, dtype, shape=(N // 64, 64) if name in cases.ROWS else (N,))
    function, x = cases.function(ft, name), x.clamp(max=0.99) if name == "binary_cross_entropy" else x.clone()
    without, both = MEMORY[name]
    assert peak(lambda: function(x, t), N) <= without + 0.25
    leaf = x.clone().requires_grad_()

    def step():
        leaf.grad = None
        function(leaf, t).backward()

    assert peak(step, N) <= both * x.element_size() / 4 + 0.25


def test_the_measure_of_memory_sees_copies():
    x = torch.rand(N)
    assert peak(lambda: x + 1.0, N) >= 4 and peak(lambda: np.ones(N, np.float32), N) >= 4


def test_threads_are_fastlosss_own():
    x, t = torch.rand(N), torch.rand(N)
    before = torch.get_num_threads(), fl.get_num_threads()
    one = ft.mse_loss(x, t)
    fl.set_num_threads(1)
    try:
        assert torch.equal(ft.mse_loss(x, t), one)
    finally:
        fl.set_num_threads(None)
    assert (torch.get_num_threads(), fl.get_num_threads()) == before


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_within_checkpoint(use_reentrant):
    results = []
    for module in (ft, F):
        w, x = torch.eye(5, requires_grad=True), torch.linspace(-1, 1, 15).reshape(3, 5).requires_grad_()
        value = torch.utils.checkpoint.checkpoint(
            lambda x, w=w, module=module: module.cross_entropy(torch.sin(x @ w), torch.arange(3)), x, use_reentrant=use_reentrant
        )
        value.backward()
        results.append((w.grad, x.grad))
    assert all(cases.ulps(*pair, 1.0) <= 4 for pair in zip(*results, strict=True))


def test_inputs_that_are_changed_after_the_call():
    """The gradient is that of the call; to compute it again is refused, as torch refuses it at once."""
    x = torch.linspace(-1.0, 1.0, 4).requires_grad_()
    y = x * 2.0
    value = ft.mse_loss(y, torch.zeros(4))
    with torch.no_grad():
        y.add_(1.0)
    value.backward(retain_graph=True)
    assert torch.equal(x.grad, 2.0 * x.detach())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.backward()


def test_classes_derived_from_tensor_are_torchs():
    class Own(torch.Tensor):
        pass

    assert type(ft.mse_loss(torch.ones(3).as_subclass(Own), torch.zeros(3))) is Own
