"""Targets of fastloss.torch beside torch.nn.functional: forwards and backwards, in turns; and what a call costs beside fastloss's own."""

from functools import partial

import numpy as np

from benchmarks.targets.rows import Row
from fastloss.measuring.timing import side_by_side

LARGE = ("mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits", "poisson_nll_loss", "soft_margin_loss")
ROWS = ("cross_entropy", "nll_loss", "kl_div", "multi_margin_loss", "multilabel_soft_margin_loss")
CLASSES = 100


def torch(bench):
    """fastloss.torch, its targets; float32."""
    try:
        import torch
    except ImportError:
        yield Row("fastloss.torch", None, ">=", 5.0, note="torch is not installed")
        return
    import fastloss as fl
    import fastloss.torch as ours

    theirs = torch.nn.functional
    for name in LARGE:
        yield _both(ours, theirs, name, data(name, bench.n), bench.seconds, ">=", 5.0, f"n = {bench.n}")
    for name in ROWS:
        yield _both(ours, theirs, name, data(name, bench.n // CLASSES), bench.seconds, None, None, f"{bench.n // CLASSES} x {CLASSES}")
    for name in (*LARGE, *ROWS):
        yield _both(ours, theirs, name, data(name, 64), min(bench.seconds, 1.0), ">=", 1.0, "n = 64")
    x, t = data("mse_loss", 64)
    y, p, loss = t.numpy(), x.numpy(), fl.SquaredError()
    leaf, identity = x.clone().requires_grad_(), _identity()
    timings = side_by_side(
        {
            "cost": partial(loss, y, p), "cost_gradient": partial(loss.cost_gradient, y, p), "without": partial(ours.mse_loss, x, t),
            "with": partial(ours.mse_loss, leaf, t), "apply": partial(identity.apply, leaf, t),
        },
        seconds=1.0,
    )  # fmt: skip
    time = {name: timing.minimum * 1e6 for name, timing in timings.items()}
    note = f"{time['without']:.2f} and {time['cost']:.2f} us"
    yield Row("mse_loss of 64 less fastloss's own call, without gradient", time["without"] - time["cost"], "<=", 3.0, " us", note)
    note = f"{time['with']:.2f} and {time['cost_gradient']:.2f} us; a torch.autograd.Function that does nothing: {time['apply']:.2f} us"
    yield Row("mse_loss of 64 less fastloss's own call, with gradient", time["with"] - time["cost_gradient"], "<=", 3.0, " us", note)


def _identity():
    """A Function with a scalar result and nothing to do."""
    import torch

    class Nothing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, input, target):
            return torch.scalar_tensor(0.5)

    return Nothing


def data(name, n):
    """(input, target) of a loss."""
    import torch

    rng = np.random.default_rng(0)
    x = rng.standard_normal(n if name in LARGE else (n, CLASSES), np.float32)
    if name in ("cross_entropy", "nll_loss", "multi_margin_loss"):
        y = rng.integers(0, CLASSES, n)
    elif name in ("binary_cross_entropy_with_logits", "multilabel_soft_margin_loss", "soft_margin_loss"):
        y = (rng.random(x.shape) < 0.4).astype(np.float32)
        y = 2 * y - 1 if name == "soft_margin_loss" else y
    elif name == "poisson_nll_loss":
        y = rng.poisson(2.0, n).astype(np.float32)
    else:
        y = rng.standard_normal(x.shape, np.float32)
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    return (x.log_softmax(1), y.softmax(1)) if name == "kl_div" else (x, y)


def _both(ours, theirs, name, given, seconds, sense, limit, size):
    """How many times our time torch's is, of a call and its backward."""
    leaf, target = given[0].requires_grad_(), given[1]
    named = {"reduction": "batchmean"} if name == "kl_div" else {}

    def step(function):
        leaf.grad = None
        function(leaf, target, **named).backward()

    timings = side_by_side(
        {who: partial(step, getattr(module, name)) for who, module in (("ours", ours), ("torch", theirs))}, seconds=seconds
    )
    mine, torchs = timings["ours"].minimum, timings["torch"].minimum
    unit, scale = ("us", 1e6) if mine < 1e-3 else ("ms", 1e3)
    note = f"{mine * scale:.1f} and {torchs * scale:.1f} {unit}"
    return Row(f"{name}, {size}: torch / fastloss.torch, forwards and backwards", torchs / mine, sense, limit, note=note)
