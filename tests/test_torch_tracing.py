"""fastloss.torch where torch looks on or runs ahead: traces, batches of gradients, default devices, tensors whose negation is pending."""

import pytest

torch = pytest.importorskip("torch", minversion="2.6")

import fastloss.torch as ft  # noqa: E402

F = torch.nn.functional
pytestmark = pytest.mark.filterwarnings(  # torch's own
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning"
)
X, Y = torch.linspace(-1.0, 2.0, 12).reshape(4, 3), torch.linspace(1.0, -1.0, 12).reshape(4, 3)
LABELS = torch.tensor([0, 2, 1, 1])


def leaf():
    return X.clone().requires_grad_()


@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("name", ["huber_loss", "cross_entropy"])
@pytest.mark.parametrize("how", ["is_grads_batched", "vmap"])
def test_several_gradients_at_once(name, reduction, how):
    results = []
    for module in (ft, F):
        x = leaf()
        value = getattr(module, name)(x, LABELS if name == "cross_entropy" else Y, reduction=reduction)
        above = torch.linspace(0.5, 2.0, 5 * value.numel()).reshape(5, *value.shape)

        def gradient(above, value=value, x=x, **how):
            return torch.autograd.grad(value, x, above, retain_graph=True, **how)[0]

        found = gradient(above, is_grads_batched=True) if how == "is_grads_batched" else torch.func.vmap(gradient)(above)
        torch.testing.assert_close(gradient(above[1]), found[1])  # and once more, one
        results.append(found)
    torch.testing.assert_close(*results)


def test_several_gradients_of_float16():
    x = torch.linspace(-1.0, 1.0, 4).half().requires_grad_()
    value = ft.mse_loss(x, torch.zeros_like(x), reduction="none")
    found = torch.autograd.grad(value, x, torch.eye(4).half(), is_grads_batched=True)[0]
    assert found.dtype is torch.float16 and torch.equal(found, torch.diag(2 * x.detach()))


def test_jacobians_of_one_call():
    found = [torch.autograd.functional.jacobian(lambda x, m=m: m.huber_loss(x, Y, reduction="none"), X, vectorize=True) for m in (ft, F)]
    torch.testing.assert_close(*found)


def test_a_trace_holds_the_loss_and_not_its_value():
    traced = torch.jit.trace(lambda x, y: ft.mse_loss(x, y), (X, Y))
    assert torch.equal(traced(3 * X, Y), F.mse_loss(3 * X, Y))


def test_make_fx_records_the_loss_and_not_its_value():
    from torch.fx.experimental.proxy_tensor import make_fx

    graph = make_fx(lambda x, y: ft.cross_entropy(x, y))(X, LABELS)
    assert torch.equal(graph(3 * X, LABELS), F.cross_entropy(3 * X, LABELS))


def test_a_loss_of_fastloss_is_no_constant_in_a_trace():
    with pytest.raises(RuntimeError, match="takes no part in .* tracing"):
        torch.jit.trace(ft.from_loss("log_cosh"), (X, Y))


def test_symbolic_traces_of_modules():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = ft.CrossEntropyLoss(), ft.MSELoss()

        def forward(self, x, y, labels):
            return self.first(x, labels) + self.second(x, y)

    assert torch.equal(torch.fx.symbolic_trace(Model())(X, Y, LABELS), F.cross_entropy(X, LABELS) + F.mse_loss(X, Y))


def test_a_default_device_is_not_where_the_loss_goes():
    with torch.device("meta"):
        for reduction in ("none", "mean"):
            assert ft.mse_loss(X, Y, reduction=reduction).device.type == "cpu"
    torch.testing.assert_close(ft.mse_loss(X, Y), F.mse_loss(X, Y))


def test_negations_that_are_pending():
    x = torch.view_as_complex(torch.stack([X, Y], -1)).conj().imag
    assert x.is_neg()
    for function in ("mse_loss", "l1_loss"):
        torch.testing.assert_close(getattr(ft, function)(x, X), getattr(F, function)(x, X))
        torch.testing.assert_close(getattr(ft, function)(leaf(), x), getattr(F, function)(X, x))
    x = x.detach().requires_grad_()
    ft.mse_loss(x, X).backward()
    torch.testing.assert_close(x.grad, 2 * (-Y - X) / 12)
