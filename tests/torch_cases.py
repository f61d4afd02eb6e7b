"""What the tests of fastloss.torch compare with torch: functions, their options, and inputs that go with them."""

import itertools

import torch

ELEMENTWISE = {
    "l1_loss": [{}],
    "mse_loss": [{}],
    "huber_loss": [{}, {"delta": 0.5}],
    "smooth_l1_loss": [{}, {"beta": 0.25}, {"beta": 0.0}],
    "binary_cross_entropy": [{}],
    "binary_cross_entropy_with_logits": [{}, {"pos_weight": 3.0}],
    "soft_margin_loss": [{}],
    "poisson_nll_loss": [{}],
}
ROWS = {
    "cross_entropy": [{}, {"label_smoothing": 0.1}, {"weight": True}, {"weight": True, "label_smoothing": 0.2, "ignore_index": 2}],
    "cross_entropy_of_probabilities": [{}, {"label_smoothing": 0.1}, {"weight": True}],
    "nll_loss": [{}, {"weight": True}, {"ignore_index": 1}],
    "kl_div": [{}, {"log_target": True}],
    "multilabel_soft_margin_loss": [{}, {"weight": True}],
    "multi_margin_loss": [{}, {"p": 2, "margin": 0.5}, {"weight": True}],
    "multilabel_margin_loss": [{}],
}
REDUCTIONS = {name: ("mean", "sum", "batchmean") if name == "kl_div" else ("none", "mean", "sum") for name in [*ELEMENTWISE, *ROWS]}
PLAIN = [(name, options) for name, several in [*ELEMENTWISE.items(), *ROWS.items()] for options in several]
CASES = [(name, options, reduction) for name, options in PLAIN for reduction in REDUCTIONS[name]]
IMAGES = ("cross_entropy", "cross_entropy_of_probabilities", "nll_loss")  # which take (N, C, d1, ...)


def ident(case):
    name, options, *reduction = case
    return "-".join([name, *(f"{key}={value}" for key, value in options.items()), *reduction])


def function(module, name):
    return getattr(module, name.removesuffix("_of_probabilities"))


def inputs(name, dtype=torch.float64, shape=None, seed=0):
    """(input, target): float32's numbers in any dtype that holds them, so that results of several dtypes are of the same numbers."""
    generator = torch.Generator().manual_seed(seed)

    def normal():
        return torch.randn(shape, generator=generator)

    def uniform():
        return torch.rand(shape, generator=generator)

    if name in ELEMENTWISE:
        shape = (6, 7) if shape is None else shape
        x, y = 2.0 * normal(), 2.0 * normal()
        if name == "binary_cross_entropy":
            x, y = 0.001 + 0.998 * uniform(), uniform()
        elif name == "binary_cross_entropy_with_logits":
            y = uniform()
        elif name == "soft_margin_loss":
            y = torch.where(y > 0, 1.0, -1.0)
        elif name == "poisson_nll_loss":
            y = torch.floor(y.abs() * 2.0)
        return x.to(dtype), y.to(dtype)
    shape = (6, 5) if shape is None else shape
    x, axis = 2.0 * normal(), 0 if len(shape) == 1 else 1
    outer = shape[:axis] + shape[axis + 1 :]
    labels = torch.randint(0, shape[axis], outer, generator=generator)
    if name in ("cross_entropy", "multi_margin_loss"):
        return x.to(dtype), labels
    if name == "nll_loss":
        return x.log_softmax(axis).to(dtype), labels
    if name == "cross_entropy_of_probabilities":
        return x.to(dtype), normal().softmax(axis).to(dtype)
    if name == "kl_div":
        return x.log_softmax(-1).to(dtype), normal().softmax(-1).to(dtype)
    if name == "multilabel_soft_margin_loss":
        return x.to(dtype), (uniform() > 0.5).to(dtype)
    count = torch.randint(0, shape[-1] + 1, shape[:-1], generator=generator)
    listed = uniform().argsort(-1)  # classes in some order, -1 from some place on
    return x.to(dtype), listed.where(torch.arange(shape[-1]) < count[..., None], -1)


def keywords(name, options, input, reduction):
    """The keyword arguments of a case, tensors among them."""
    found = dict(options, reduction=reduction)
    if found.get("weight"):
        classes = input.shape[0 if input.dim() == 1 else 1]
        found["weight"] = torch.linspace(0.5, 2.0, classes).to(input.dtype)
    if "pos_weight" in found:
        found["pos_weight"] = torch.tensor(found["pos_weight"], dtype=input.dtype)
    if found.get("log_target"):
        found["log_target"] = True
    return found


def target_of(name, options, target):
    return target.clamp_min(1e-6).log() if options.get("log_target") else target


def result(module, name, options, reduction, input, target, above=True):
    """(loss, gradient), this multiplied by something from above if so."""
    x = input.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    value = function(module, name)(x, target_of(name, options, target), **keywords(name, options, x, reduction))
    factor = torch.linspace(0.5, 1.5, value.numel(), dtype=torch.float64).reshape(value.shape).to(value.dtype)
    value.backward(factor if above else torch.ones_like(value))
    return value.detach(), x.grad


def both(ours, torchs, *case):
    """What ours gives, and torch's."""
    return result(ours, *case), result(torchs, *case)


def exact(module, name, options, reduction, input, target):
    """torch's result in float64 of numbers of another dtype."""
    if options.get("log_target"):
        target = target_of(name, options, target).double().exp()  # whose logarithm is that of before, but for float64's rounding
    return result(module, name, options, reduction, input.double(), target.double() if target.is_floating_point() else target)


def distance(found, wanted):
    """The largest difference, in units of the last place of the largest of ``wanted``."""
    return ((found.double() - wanted).abs().max() / wanted.abs().max().clamp_min(1e-30) / torch.finfo(found.dtype).eps).item()


def ulps(found, wanted, least=0.0):
    """How far apart in units of the last place of ``wanted``, or of what is no smaller than ``least``."""
    if not wanted.numel():
        return 0.0
    a, b = found.double(), wanted.double()
    same = (a == b) | (a.isnan() & b.isnan())
    scale = b.abs().clamp_min(max(least, torch.finfo(found.dtype).tiny)) * torch.finfo(found.dtype).eps
    return ((a - b).abs() / scale).where(~same, 0.0).max().item()


def shapes(name):
    plain = [(6, 5), (6, 2)]
    if name in ELEMENTWISE:
        return [(), (1,), (7,), (6, 7), (2, 3, 4), (0,), (3, 0)]
    return [*plain, (5,), *([(4, 5, 3), (2, 3, 4, 5)] if name in IMAGES else [(2, 3, 4)] if name in ("kl_div",) else [])]


def every_shape():
    return list(itertools.chain.from_iterable([(name, options, shape) for shape in shapes(name)] for name, options in PLAIN))
