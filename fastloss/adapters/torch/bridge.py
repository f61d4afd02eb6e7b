"""Any loss of fastloss as a torch module."""

import functools

import torch

import fastloss as fl
from fastloss.adapters.torch.autograd import call
from fastloss.adapters.torch.specs import Elementwise, Rows
from fastloss.adapters.torch.tensors import array, tensor


@functools.lru_cache(maxsize=256)
def spec_from_text(text):
    """The spec of a loss of fastloss; its name is the loss's text, which the operator can carry."""
    loss = fl.get(text)
    if isinstance(loss, fl.RowLoss):
        return BridgedRows(loss, labels=loss.labels)
    return Bridged(loss, **({"reductions": ("mean",)} if loss.definition.terms or loss.definition.base else {}))


class _Given:
    """What is different where there is no function of torch's to turn to: what is wrong is said."""

    def __init__(self, loss, **facts):
        super().__init__(loss.spec, lambda: loss, **facts)

    def torchs(self, input, target, weight, extra, reduction, options):
        for name, one in (("input", input), ("target", target), ("weight", weight)):
            if one is not None and type(one) not in (torch.Tensor, torch.nn.Parameter):
                raise TypeError(f"`{name}` of `{self.name}` must be a tensor, got {type(one).__name__}")
            if one is not input and one is not None and one.requires_grad:
                raise RuntimeError(f"`{name}` requires grad, but fastloss has no derivative by it; pass {name}.detach()")
        if reduction not in self.reductions:
            raise ValueError(f"{reduction} is not a valid value for reduction; it must be one of {', '.join(self.reductions)}")
        if self.fits(input, target, weight, extra, reduction):
            raise RuntimeError(f"`{self.name}` takes no part in transforms of functions, forward mode, tracing or autocast")
        raise ValueError(
            f"`{self.name}` takes {self.takes}; got input {tuple(input.shape)} {input.dtype}, target {tuple(target.shape)} {target.dtype}"
            + ("" if weight is None else f", weight {tuple(weight.shape)} {weight.dtype}")
        )

    def __reduce__(self):
        return spec_from_text, (self.name,)

    def derivatives(self, above, needed, input, target, weight, extra, reduction, options):
        return [Slope.apply(above, input, target, weight, self, reduction), None]

    def fits(self, input, target, weight, extra, reduction):
        return super().fits(input, target, weight, extra, reduction) and not target.requires_grad


class Bridged(_Given, Elementwise):
    integers = by_weight = True
    takes = "a floating input, a target of its shape and dtype (or of integers), and a weight of its shape and dtype or None"

    def second(self, input, target, weight, reduction):
        """(gradient, Hessian) of each element, as those of what was asked for."""
        y, p, w = (None if one is None else array(one).reshape(-1) for one in (target, input, weight))
        scale = 1.0 if reduction != "mean" else 1.0 / (input.numel() if weight is None else weight.sum(dtype=torch.float64).item())
        return [tensor(part).view(input.shape) * scale for part in self.loss().gradient_hessian(y, p, w)]


class BridgedRows(_Given, Rows):
    weighted = "elements"
    takes = "a floating input (N, C, ...), labels (N, ...) or targets of its shape, and a weight per row or None"

    def second(self, *arguments):
        raise RuntimeError(f"`{self.name}` has no second derivative: of rows fastloss knows the diagonal of the Hessian alone")


class Slope(torch.autograd.Function):
    """The gradient of a loss, times what is above, with its derivatives: of elementwise losses, and once."""

    @staticmethod
    def forward(ctx, above, input, target, weight, spec, reduction):
        ctx.save_for_backward(above, input, target, weight)
        ctx.spec, ctx.reduction = spec, reduction
        gradient = spec.evaluate(input, target, weight, None, reduction, (), True)[1]
        return (gradient * (spec.spread(above, input) if above.dim() else above)).to(input.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, more):
        above, input, target, weight = ctx.saved_tensors
        gradient, hessian = ctx.spec.second(input, target, weight, ctx.reduction)
        by_above = more * gradient
        return by_above if above.dim() else by_above.sum(), more * above * hessian, None, None, None, None


class Loss(torch.nn.Module):
    """A loss of fastloss as a torch module; from_loss says how it is called."""

    def __init__(self, loss, reduction="mean"):
        super().__init__()
        self.spec, self.reduction = spec_from_text(fl.get(loss).spec), reduction

    @property
    def loss(self):
        return self.spec.loss()

    def extra_repr(self):
        return f"{self.loss!r}, reduction={self.reduction!r}"

    def forward(self, input, target, weight=None, reduction=None):
        return call(self.spec, input, target, weight, None, self.reduction if reduction is None else reduction)


def from_loss(loss, reduction="mean"):
    """A torch module of any loss of fastloss: module(input, target, weight=None, reduction=None).

    loss       a configured loss, or its text: fl.TweedieLoss(power=1.5), "huber:delta=2"
    reduction  "mean": sum(weight * loss) / sum(weight), or over the number of losses; "sum"; "none": the losses, times their weights. Of
               the call or else of the module. Costs that are no means (rmse, dice) have "mean" alone
    input      predictions of any shape, float16, bfloat16, float32 or float64, which is also the result's dtype; of losses of rows (C),
               (N, C) or (N, C, d1, ...), as torch has them
    target     of the input's shape and dtype, or of integers; of losses of labels int64 or uint8 of the input's shape without C
    weight     of the input's dtype, per element, or per row: >= 0
    errors     ValueError for shapes, dtypes and reductions; InputError (a ValueError) with the index for values outside the loss's domain;
               RuntimeError for other devices, and for targets or weights that require grad: derivatives are by the input. Those of the
               gradient (create_graph=True) are there for elementwise losses, once
    """
    return Loss(loss, reduction)
