"""Any loss of fastloss as a torch module."""

import functools

import torch

import fastloss as fl
from fastloss.adapters.torch.autograd import call
from fastloss.adapters.torch.specs import Elementwise, Rows
from fastloss.adapters.torch.tensors import on_cpu


@functools.lru_cache(maxsize=256)
def spec_from_text(text):
    """The spec of a loss of fastloss; its name is the loss's text, which the operator can carry."""
    loss = fl.get(text)
    kind, facts = (BridgedRows, {"labels": loss.labels}) if isinstance(loss, fl.RowLoss) else (Bridged, {})
    return kind(text, lambda: loss, **facts)


class _Given:
    """What is different where there is no function of torch's to turn to: the reason is said."""

    def torchs(self, input, target, weight, extra, reduction, options):
        on_cpu("from_loss", input, target, weight)
        for name, one in (("input", input), ("target", target), ("weight", weight)):
            if one is not None and type(one) not in (torch.Tensor, torch.nn.Parameter):
                raise TypeError(f"`{name}` of `{self.name}` must be a tensor, got {type(one).__name__}")
        if reduction not in self.reductions:
            raise ValueError(f"{reduction} is not a valid value for reduction")
        raise ValueError(
            f"`{self.name}` takes {self.takes}; got input {tuple(input.shape)} {input.dtype}, target {tuple(target.shape)} {target.dtype}"
            + ("" if weight is None else f", weight {tuple(weight.shape)} {weight.dtype}{', which requires grad' * weight.requires_grad}")
        )


class Bridged(_Given, Elementwise):
    integers = by_weight = True
    takes = "a floating input, a target of its shape and dtype (or of integers), and a weight of its shape and dtype or None"


class BridgedRows(_Given, Rows):
    weighted = "elements"
    takes = "a floating input (N, C, ...), labels (N, ...) or targets of its shape, and a weight per row or None"


class Loss(torch.nn.Module):
    """See from_loss."""

    def __init__(self, loss, reduction="mean"):
        super().__init__()
        self.loss, self.reduction = fl.get(loss), reduction

    def extra_repr(self):
        return f"{self.loss!r}, reduction={self.reduction!r}"

    def forward(self, input, target, weight=None, reduction=None):
        return call(spec_from_text(self.loss.spec), input, target, weight, None, self.reduction if reduction is None else reduction)


def from_loss(loss, reduction="mean"):
    """A torch module of any loss of fastloss: module(input, target, weight=None, reduction=None)."""
    return Loss(loss, reduction)
