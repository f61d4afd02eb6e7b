"""From a spec to tensors that can be differentiated: eagerly by an autograd Function, under torch.compile by a custom operator.

Loss and gradient are computed together, forwards. Backwards the gradient is multiplied by what comes from above, in its own memory, and
given away; if it is 1, as it is for loss.backward(), nothing is left to do. A graph that is kept and used again computes it again.
What is asked for less often is torch's own: derivatives of gradients, and gradients by targets that are no mirror of the input's.
"""

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from fastloss import InputError
from fastloss.adapters.torch.tensors import PLAIN, on_cpu

NAMES = {"y_true": "target", "y_pred": "input", "sample_weight": "weight"}
SPECS = {}  # by name, for the operator
compiling = torch.compiler.is_compiling
functorch = torch._C._are_functorch_transforms_active
traced = torch._C._is_tracing  # by torch.jit.trace
modes = torch._C._len_torch_dispatch_stack  # what looks on at torch's operators, make_fx for one
forward_mode = torch.autograd.forward_ad


def call(spec, input, target, weight, extra, reduction, *options):
    """torch's result, computed by fastloss where it can."""
    compiled = compiling()
    if not compiled and traced():
        return spec.torchs(input, target, weight, extra, reduction, options)
    if not spec.fits(input, target, weight, extra, reduction):
        on_cpu(spec.name, input, target, weight, extra)
        return spec.torchs(input, target, weight, extra, reduction, options)
    if compiled:
        return _compiled(spec, input, target, weight, extra, reduction, options)
    if functorch() or forward_mode._current_level >= 0 or (input.dtype not in PLAIN and _is_cast(input)) or modes():
        return spec.torchs(input, target, weight, extra, reduction, options)
    if input.is_neg() or target.is_neg():
        input, target = input.resolve_neg(), target.resolve_neg()
    try:
        if (input.requires_grad or target.requires_grad) and torch.is_grad_enabled():
            return apply(input, target, (spec, weight, extra, reduction, options))
        return spec.evaluate(input, target, weight, extra, reduction, options, False)[0]
    except ValueError as error:  # torch may take what fastloss refuses; if it does not, in its own way
        return _torchs(error, spec, input, target, weight, extra, reduction, options)


def _batched(one):
    """Is this several tensors at once, of is_grads_batched=True or of torch.func.vmap?"""
    return torch._C._functorch.is_legacy_batchedtensor(one) or torch._C._functorch.is_batchedtensor(one)


def _is_cast(input):
    return input.dtype not in PLAIN and torch.is_autocast_enabled("cpu")


def _torchs(error, spec, *arguments):
    """torch's result of what fastloss refused; or an error of torch's kind in the words of both; or, where there is no torch's, ours."""
    bad = isinstance(error, InputError)
    if spec.reference is None:
        raise InputError(error.loss, NAMES.get(error.argument, error.argument), *error.args[2:]) if bad else error
    try:
        return spec.torchs(*arguments)
    except Exception as theirs:
        if not bad:
            raise
        text = str(error)
        for ours, torchs in NAMES.items():
            text = text.replace(ours, torchs)
        raise type(theirs)(f"{text} ({theirs})") from error


class Fused(torch.autograd.Function):
    """A loss with its gradient. asked: (spec, weight, extra, reduction, options)."""

    @staticmethod
    def forward(ctx, input, target, asked):
        spec = asked[0]
        value, ctx.gradient = spec.evaluate(input, target, *asked[1:], input.requires_grad or spec.symmetric)
        ctx.save_for_backward(input, target)
        ctx.asked = asked
        return value

    @staticmethod
    def backward(ctx, above):
        spec = ctx.asked[0]
        by_input, by_target, _ = ctx.needs_input_grad
        if torch.is_grad_enabled() or by_target and not spec.symmetric:
            return *spec.derivatives(above, (by_input, by_target), *ctx.saved_tensors, *ctx.asked[1:]), None
        gradient, ctx.gradient = ctx.gradient, None
        if gradient is None:  # given away before; saved_tensors says so if the graph was not to be used again
            gradient = spec.evaluate(*ctx.saved_tensors, *ctx.asked[1:], True)[1]
        if _batched(above):  # the gradient's own memory is that of one
            gradient = (gradient * (spec.spread(above, gradient) if above.dim() else above)).to(ctx.saved_tensors[0].dtype)
        elif above.dim():
            gradient.mul_(spec.spread(above, gradient))
        elif (factor := above.item()) != 1.0:
            gradient.mul_(factor)
        if not by_target:
            return gradient, None, None
        return (gradient, -gradient, None) if by_input else (None, gradient.neg_(), None)


# Fused.apply without its look for functorch's transforms, which ``call`` has had: it takes 2 us.
apply = super(torch.autograd.Function, Fused).apply


# Under torch.compile. ``options`` travel as numbers, and a loss of from_loss by its text.


@torch.library.custom_op("fastloss::loss", mutates_args=(), device_types="cpu")
def operator(
    name: str,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    extra: Tensor | None,
    reduction: str,
    options: list[float],
    wanted: bool,
) -> tuple[Tensor, Tensor]:
    """(loss, gradient by the input or an empty tensor)"""
    spec = spec_of(name)
    try:
        value, gradient = spec.evaluate(input, target, weight, extra, reduction, tuple(options), wanted)
    except ValueError as error:
        options = tuple(kind(option) for kind, option in zip(spec.kinds, options, strict=True))
        with ThreadPoolExecutor(1) as other:  # in this thread, within an operator, autograd is not to be had
            value, gradient = other.submit(_torchs_both, error, spec, input, target, weight, extra, reduction, options, wanted).result()
    return value.contiguous(), _laid(gradient.to(input.dtype), input) if wanted else input.new_empty(0)


def _laid(found, like):
    """In the layout that ``_`` below promises: of expanded inputs, and what torch computed, may lie in another."""
    room = torch.empty_like(like)
    return found if found.stride() == room.stride() else room.copy_(found)


def _torchs_both(error, spec, input, target, weight, extra, reduction, options, wanted):
    """(loss, gradient or None), torch's."""
    input = input.detach().requires_grad_(wanted)
    value = _torchs(error, spec, input, target.detach(), weight, extra, reduction, options)
    return value.detach(), torch.autograd.grad(value.sum(), input)[0] if wanted else None


@operator.register_fake
def _(name, input, target, weight, extra, reduction, options, wanted):
    shape = spec_of(name).shape(input, reduction)
    return input.new_empty(shape), torch.empty_like(input) if wanted else input.new_empty(0)


def _setup(ctx, inputs, output):
    ctx.name, input, _, _, _, ctx.reduction, _, wanted = inputs
    ctx.save_for_backward(output[1], input)
    ctx.set_materialize_grads(False)


def _backward(ctx, above, _):
    gradient, input = ctx.saved_tensors
    spec = spec_of(ctx.name)
    gradient = gradient * (spec.spread(above, input) if above.dim() else above)
    by_input, by_target = ctx.needs_input_grad[1:3]
    return None, gradient if by_input else None, -gradient if by_target else None, None, None, None, None, None


operator.register_autograd(_backward, setup_context=_setup)


def spec_of(name):
    """The spec of an operator's call."""
    if name not in SPECS:
        from fastloss.adapters.torch.bridge import spec_from_text

        return spec_from_text(name)
    return SPECS[name]


def _compiled(spec, input, target, weight, extra, reduction, options):
    differentiated = (input.requires_grad or target.requires_grad) and torch.is_grad_enabled()
    if functorch() or _is_cast(input) or target.requires_grad and not spec.symmetric and differentiated:
        return spec.torchs(input, target, weight, extra, reduction, options)
    numbers = [float(option) for option in options]
    return operator(spec.name, input, target, weight, extra, reduction, numbers, differentiated)[0]
