"""How fastloss computes torch's losses: with which of its own, of what shapes, divided by what.

A spec says whether it takes what is given (``fits``; all else is torch's own business), and has ``evaluate``: the loss, and the gradient
by the input if that is wanted, in one pass. ``evaluate`` raises ValueError for values that fastloss refuses; torch may take them.
"""

import functools
import math

import numpy as np
import torch

from fastloss.adapters.torch.tensors import CLASSES, FLOATS, INTEGERS, PLAIN, STRIDED, kept, like, plain, scalar, seen, tensor


class Spec:
    """name       of the function in torch.nn.functional, or any name where ``reference`` is given
    configure     options -> fastloss's loss; also class_weight= where there are class weights
    options       {torch's name of an option: its type}
    symmetric     a function of input - target: the gradient by the target is that by the input, negated
    weighted      what ``weight`` is: None for nothing, "elements", "classes"
    """

    symmetric, weighted, reductions = False, None, ("none", "mean", "sum")

    def __init__(self, name, configure, options=None, **facts):
        self.name, self.reference = name, getattr(torch.nn.functional, name, None)
        self.options = tuple(options or ())
        self.kinds = tuple((options or {}).values())

        def with_weights(*options, weights=None):
            return configure(*options) if weights is None else configure(*options, class_weight=np.frombuffer(weights))

        self.loss = functools.lru_cache(maxsize=256)(with_weights)
        self.__dict__.update(facts)

    def torchs(self, input, target, weight, extra, reduction, options):
        """torch's own result."""
        named = dict(zip(self.options, options, strict=True))
        if weight is not None:
            named["weight"] = weight
        if extra is not None:
            named["pos_weight"] = extra
        return self.reference(input, target, reduction=reduction, **named)

    def derivatives(self, above, needed, input, target, weight, extra, reduction, options):
        """(gradient by the input or None, by the target or None), which can be differentiated again where grad mode is on."""
        again = torch.is_grad_enabled()
        with torch.enable_grad():
            value = self.torchs(input, target, weight, extra, reduction, options)
        by = [one for one, need in zip((input, target), needed, strict=True) if need]
        found = iter(torch.autograd.grad(value, by, above, create_graph=again))
        return [next(found) if need else None for need in needed]

    def fits(self, input, target, weight, extra, reduction):
        """Is this what fastloss computes?"""
        return (
            type(input) in CLASSES and type(target) in CLASSES and input.is_cpu and target.is_cpu and input.layout is STRIDED
            and target.layout is STRIDED and input.dtype in FLOATS and reduction in self.reductions and self.alike(input, target)
            and (weight is None or self.weighs(input, weight)) and (extra is None or plain(extra) and not extra.requires_grad)
        )  # fmt: skip

    def weighs(self, input, weight):
        return self.weighted is not None and plain(weight) and weight.dtype in FLOATS and not weight.requires_grad


def compute(loss, y, p, w, reduction, divisor, wanted, value, gradient):
    """(loss or cost, gradient or None), in one pass. value, gradient: where they go, or None."""
    if reduction == "none":
        return loss.loss_gradient(y, p, w, value, gradient) if wanted else (loss.loss(y, p, w, value), None)
    if divisor is None:
        return loss.cost_gradient(y, p, w, gradient) if wanted else (loss(y, p, w), None)
    return loss.cost_gradient(y, p, w, gradient, divisor=divisor) if wanted else (loss(y, p, w, reduction="sum") / divisor, None)


def _some(input):
    if not input.numel():
        raise ValueError("what comes of nothing is torch's to say")


def nothing(input, reduction, wanted):
    """(loss, gradient or None) of no rows: a mean is NaN, a sum 0."""
    value = input.new_empty(0) if reduction == "none" else scalar(math.nan if reduction == "mean" else 0.0, input.dtype)
    return value, torch.empty_like(input, requires_grad=False) if wanted else None


FEW = 1 << 14  # numbers up to which arrays of tensors are what a call would spend its time on


def short(loss, input, target, dtype, wanted, n, *classes):
    """(fastloss's mean, its gradient or None) of contiguous tensors of a dtype that NumPy has: n numbers, or rows of so many classes."""
    if input.numel() <= FEW and target.is_contiguous() and target.dtype is (torch.int64 if classes and loss.labels else dtype):
        gradient = torch.empty_like(input) if wanted else None
        to = gradient.data_ptr() if wanted else 0
        cost = loss.calls().at(target.data_ptr(), input.data_ptr(), n, dtype is torch.float64, to, *classes)
        if cost is not None:
            return scalar(cost, dtype), gradient
    y, p = (target.detach() if target.requires_grad else target).numpy(), input.detach().numpy()
    if not wanted:
        return scalar(loss(y, p), dtype), None
    cost, gradient = loss.cost_gradient(y, p)
    return scalar(cost, dtype), torch.from_numpy(gradient)


class Elementwise(Spec):
    """A loss of each element.

    integers   targets may be integers
    by_weight  the mean divides by the sum of the weights, not by the number of elements
    broadcast  weights need not have the input's shape
    check      (input) -> None, or ValueError
    """

    integers, by_weight, broadcast, check, weighted = False, False, False, None, "elements"

    def alike(self, input, target):
        return target.shape == input.shape and (target.dtype is input.dtype or self.integers and target.dtype in INTEGERS)

    def weighs(self, input, weight):
        return super().weighs(input, weight) and weight.dtype is input.dtype and (self.broadcast or weight.shape == input.shape)

    def shape(self, input, reduction):
        return input.shape if reduction == "none" else ()

    def spread(self, above, input):
        return above

    def evaluate(self, input, target, weight, extra, reduction, options, wanted):
        """(loss, gradient or None)."""
        shape, dtype, order = input.shape, input.dtype, None
        simple = weight is None and extra is None and reduction == "mean" and self.check is None
        if simple and dtype in PLAIN and shape and input.is_contiguous():  # what most calls are; as below
            return short(self.loss(*options), input, target, dtype, wanted, input.numel())
        _some(input)
        if extra is not None:
            if extra.numel() != 1 or extra.dim() > input.dim():
                raise ValueError("several weights of positives are torch's")
            options = extra.item(), *options
        if self.check is not None:
            self.check(input)
        if weight is not None and weight.shape != shape:
            weight = weight.detach().expand(shape) if weight.dim() <= len(shape) else weight
        if not shape:
            input, target, weight = input.reshape(1), target.reshape(1), None if weight is None else weight.reshape(1)
        elif not input.is_contiguous():
            strides = input.stride()
            order = sorted(range(len(shape)), key=lambda k: -strides[k])
        room, to = kept(input, order) if wanted else (None, None)
        value = like(input) if order and reduction == "none" else None
        divisor = 1.0 if reduction == "sum" else None if weight is None or self.by_weight or reduction == "none" else float(input.numel())
        y, p, w = seen(target, order), seen(input, order), seen(weight, order)
        found, gradient = compute(self.loss(*options), y, p, w, reduction, divisor, wanted, seen(value, order), to)
        found = (tensor(found) if value is None else value).view(shape) if reduction == "none" else scalar(found, dtype)
        if wanted:
            gradient = tensor(gradient) if room is None else room
        return found, gradient if shape or not wanted else gradient.view(())


class Rows(Spec):
    """A loss of rows of C scores, (C) or (N, C) or of more dimensions.

    labels    targets are class numbers, one per row; else one per score
    classes   which axis is the classes' where there is more than one: 1, torch's place for it, or -1
    convert   (target, input) -> the array that fastloss takes as the target
    divisor   (reduction, input, rows) -> what the sum is divided by; None: what fastloss's mean divides by
    most      how many dimensions torch takes; None: any. Of no rows at all, torch returns what was in memory for those that have it
    """

    labels, classes, convert, divisor, weighted, most = True, 1, None, None, "classes", None

    def axis(self, input):
        return 0 if input.dim() == 1 else self.classes % input.dim()

    def outer(self, input):
        """The shape of what there is one of per row."""
        axis = self.axis(input)
        return input.shape[:axis] + input.shape[axis + 1 :]

    def alike(self, input, target):
        if not input.dim() or self.most is not None and input.dim() > self.most:
            return False
        if self.labels:
            return target.dtype in (torch.int64, torch.uint8) and target.shape == self.outer(input)
        return target.shape == input.shape and target.dtype is (input.dtype if self.convert is None else torch.int64)

    def weighs(self, input, weight):
        shape = (input.shape[self.axis(input)],) if self.weighted == "classes" else self.outer(input)
        return super().weighs(input, weight) and weight.shape == shape

    def shape(self, input, reduction):
        return self.outer(input) if reduction == "none" else ()

    def spread(self, above, input):
        return above.unsqueeze(self.axis(input))

    def evaluate(self, input, target, weight, extra, reduction, options, wanted):
        """(loss, gradient or None)."""
        simple = weight is None and reduction == "mean" and self.divisor is None and self.convert is None and input.dtype in PLAIN
        if simple and input.dim() == 2 and input.is_contiguous() and target.is_contiguous():  # what most calls are; as below
            return short(self.loss(*options), input, target, input.dtype, wanted, *input.shape)
        if self.most is not None and not input.shape[0] and input.shape[-1]:
            return nothing(input, reduction, wanted)
        _some(input)
        weights = None
        if weight is not None and self.weighted == "classes":
            weight, weights = None, weight.detach().double().numpy().tobytes()
        shape, dtype, outer, order = input.shape, input.dtype, self.outer(input), None
        if input.dim() == 1:
            input, target, weight = input[None], target[None], None if weight is None else weight[None]
        elif (axis := self.axis(input)) != input.dim() - 1:
            order = [*(k for k in range(input.dim()) if k != axis), axis]
        room, to = kept(input, order) if wanted else (None, None)
        divisor = 1.0 if reduction == "sum" else None if self.divisor is None else float(self.divisor(reduction, shape, math.prod(outer)))
        y = self.convert(target, input) if self.convert is not None else seen(target, None if self.labels else order)
        found, gradient = compute(
            self.loss(*options, weights=weights), y, seen(input, order), seen(weight, None), reduction, divisor, wanted, None, to
        )
        found = tensor(found).view(outer) if reduction == "none" else scalar(found, dtype)
        if wanted:
            gradient = tensor(gradient) if room is None else room
        return found, gradient.view(shape) if wanted and len(shape) == 1 else gradient
