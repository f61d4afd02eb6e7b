"""Tensors as the arrays that fastloss computes on, and back: views, never copies."""

import math

import numpy as np
import torch

from fastloss.engine.memory import LONG, empty

BITS = np.dtype([("bfloat16", np.uint16)])  # what fastloss takes for bfloat16, which NumPy has not
PLAIN = frozenset((torch.float32, torch.float64))  # NumPy's own, with gradients of the same
FLOATS = frozenset((torch.float32, torch.float64, torch.bfloat16, torch.float16))
INTEGERS = frozenset((torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8))
# Gradients of float16 are kept as float32: divided by many samples they would vanish before a loss scaler could save them.
KEPT = {torch.float16: torch.float32}
NUMPY = {torch.float16: np.float32, torch.bfloat16: BITS, torch.float32: np.float32, torch.float64: np.float64}  # of gradients


def array(tensor):
    """The ndarray of a tensor's memory."""
    if tensor.dtype is torch.bfloat16:
        return tensor.detach().view(torch.int16).numpy().view(BITS)
    return tensor.detach().numpy() if tensor.requires_grad else tensor.numpy()


def tensor(array):
    """The tensor of an ndarray's memory."""
    if array.dtype is BITS or array.dtype == BITS:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def scalar(value, dtype):
    """A tensor of no dimension. What is beyond the dtype is infinite, as in a sum of torch's."""
    try:
        return torch.scalar_tensor(value, dtype=dtype, device="cpu")
    except RuntimeError:
        return torch.scalar_tensor(math.copysign(math.inf, value), dtype=dtype, device="cpu")


def on_cpu(name, *tensors):
    """RuntimeError if a tensor is anywhere else: torch's kind of error where devices do not go together."""
    for one in tensors:
        if isinstance(one, torch.Tensor) and one.device.type != "cpu":
            raise RuntimeError(f"fastloss.torch.{name}: fastloss computes on CPUs; got a tensor on device {str(one.device)!r}; call .cpu()")


CLASSES, STRIDED = (torch.Tensor, torch.nn.Parameter), torch.strided


def plain(one):
    """Is this a tensor that fastloss can look into: torch's own class, on the CPU, with strides?"""
    return type(one) in CLASSES and one.is_cpu and one.layout is STRIDED


def seen(one, order):
    """The array of a tensor, its axes in an order, or (None) as they are."""
    return None if one is None else array(one if order is None else one.permute(order))


def like(input):
    """torch.empty_like(input), of fastloss's memory if it is large: torch's is new each time, and its pages small."""
    if input.numel() < LONG:
        return torch.empty_like(input, requires_grad=False)
    dtype = np.float16 if input.dtype is torch.float16 else NUMPY[input.dtype]
    strides = torch.empty_like(input, requires_grad=False, device="meta").stride()
    return tensor(empty(input.numel(), dtype)).as_strided(input.shape, strides)


def kept(input, order):
    """Room for a gradient by the input that lies in memory as the input does: (the tensor, the same as an array with its axes in order);
    (None, None) where what fastloss makes by itself is just that. NumPy's memory, which comes in large pages, takes half the time."""
    dtype = input.dtype
    if order is None and dtype not in KEPT and input.is_contiguous():
        return None, None
    strides = input.stride()
    axes = sorted(range(input.dim()), key=lambda k: -strides[k])
    room = tensor(empty([input.shape[k] for k in axes], NUMPY[dtype])).permute([axes.index(k) for k in range(input.dim())])
    return room, seen(room, order)
