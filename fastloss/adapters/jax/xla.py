"""The way from XLA to fastloss: a handler of XLA's foreign function interface, made with ctypes.

XLA calls the handler with a frame of plain C structs (xla/ffi/api/c_api.h, a stable ABI). It lays NumPy arrays over XLA's own buffers,
inputs and outputs, and calls the loss with `*_out`: nothing is copied, nothing of jax is touched on the way (as jax.pure_callback does,
which copies every array to a jax array and back, and may wait for the very threads that wait for it).
"""

import atexit
import contextlib
import ctypes
import math
import threading
import time
from ctypes import POINTER, Structure, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_void_p

import jax
import ml_dtypes
import numpy as np

import fastloss as fl

TARGET = "fastloss"
METADATA, EXECUTE, INVALID_ARGUMENT = 1, 3, 3  # of XLA's enums
VERSION = 0, 1  # of the ABI: the least that has all that is used here
DTYPES = {  # XLA_FFI_DataType
    1: np.dtype(bool), 2: np.dtype(np.int8), 3: np.dtype(np.int16), 4: np.dtype(np.int32), 5: np.dtype(np.int64),
    6: np.dtype(np.uint8), 7: np.dtype(np.uint16), 8: np.dtype(np.uint32), 9: np.dtype(np.uint64),
    10: np.dtype(np.float16), 11: np.dtype(np.float32), 12: np.dtype(np.float64), 16: np.dtype(ml_dtypes.bfloat16),
}  # fmt: skip
KNOWN = frozenset(DTYPES.values())
HEAD = [("struct_size", c_size_t), ("extension", c_void_p)]


class Buffer(Structure):
    _fields_ = [*HEAD, ("dtype", c_int), ("data", c_void_p), ("rank", c_int64), ("dims", POINTER(c_int64))]


class Buffers(Structure):
    """Arguments, or results."""

    _fields_ = [*HEAD, ("size", c_int64), ("types", c_void_p), ("items", POINTER(POINTER(Buffer)))]


class Text(Structure):
    _fields_ = [("characters", c_void_p), ("length", c_size_t)]


class Attributes(Structure):
    _fields_ = [*HEAD, ("size", c_int64), ("types", c_void_p), ("names", c_void_p), ("items", POINTER(POINTER(Text)))]


class Version(Structure):
    _fields_ = [*HEAD, ("major", c_int), ("minor", c_int)]


class ErrorArguments(Structure):
    _fields_ = [*HEAD, ("message", c_char_p), ("code", c_int)]


class Api(Structure):
    _fields_ = [
        *HEAD, ("version", Version), ("internal", c_void_p), ("create_error", ctypes.CFUNCTYPE(c_void_p, POINTER(ErrorArguments))),
    ]  # fmt: skip


class Frame(Structure):
    _fields_ = [
        *HEAD, ("api", POINTER(Api)), ("context", c_void_p), ("stage", c_int), ("arguments", Buffers), ("results", Buffers),
        ("attributes", Attributes),
    ]  # fmt: skip


class Metadata(Structure):
    _fields_ = [("struct_size", c_size_t), ("version", Version), ("traits", c_uint32)]


class Extension(Structure):
    _fields_ = [("struct_size", c_size_t), ("type", c_int), ("next", c_void_p), ("metadata", POINTER(Metadata))]


class Memory:
    """What NumPy makes an array of."""

    __slots__ = ("__array_interface__",)

    def __init__(self, address, shape, typestr, readonly):
        self.__array_interface__ = {"data": (address, readonly), "shape": shape, "typestr": typestr, "version": 3}


def array(buffer, readonly):
    """The array that lies in one of XLA's buffers."""
    buffer = buffer.contents
    dtype, shape = DTYPES[buffer.dtype], tuple(buffer.dims[: buffer.rank])
    if not buffer.data:  # of no elements
        return np.empty(shape, dtype)
    if dtype.kind == "V":  # bfloat16, which the interface cannot name
        return np.asarray(Memory(buffer.data, shape, "<u2", readonly)).view(dtype)
    return np.asarray(Memory(buffer.data, shape, dtype.str, readonly))


OUTPUTS = {  # what is asked for: the method, and where it writes
    names: (names.replace(",", "_"), [f"{name}_out" for name in names.split(",")])
    for names in ("loss", "loss,gradient", "loss,gradient,hessian")
}
losses = {}  # {spec: the loss that was asked for under it}; what is not there, of an executable from a cache, fl.get reads


def compute(call, inputs, outputs):
    """What was asked for: `call` is "outputs|names spec", e.g. "loss,gradient|logits|labels logistic".

    Inputs are y_pred, y_true and, of costs, perhaps sample_weight. After vmap they have more axes in front, of size 1 where they were not
    mapped: those of outputs[0], of costs, which are one number each without them.
    """
    asked, spec = call.split(" ", 1)
    names = asked.partition("|")[0]
    loss, outer = losses.get(spec) or fl.get(spec), outputs[0].shape
    if names in ("cost", "cost_gradient"):
        inputs = [_broadcast(one, outer + one.shape[len(outer) :]) for one in inputs]
        for place in np.ndindex(outer):
            prediction, target, *weight = (one[place] for one in inputs)
            if names == "cost":
                outputs[0][place] = loss(target, prediction, *weight)
            else:
                outputs[0][place] = loss.cost_gradient(target, prediction, *weight, gradient_out=outputs[1][(*place, ...)])[0]
        return
    prediction, target = inputs
    rows = isinstance(loss, fl.RowLoss)
    if rows and not outer:  # one row: an array of rows is what losses take
        prediction, target, outer, outputs = prediction[None], target[None], (1,), [output[None] for output in outputs]
    whole = outer + prediction.shape[-1:] if rows else outer
    if math.prod(whole):
        method, into = OUTPUTS[names]
        target = _broadcast(target, outer if rows and loss.labels else whole)
        getattr(loss, method)(target, _broadcast(prediction, whole), **dict(zip(into, outputs, strict=True)))
    elif math.prod(outer):
        raise ValueError(f"rows of `{loss.name}` have no classes: predictions are {whole}")


def _broadcast(array, shape):
    return array if array.shape == shape else np.broadcast_to(array, shape)


counted, counting = [0, 0], threading.Lock()  # calls that began, calls that ended


def _count(which):
    with counting:
        counted[which] += 1


def in_words_of(call, message):
    """A message with the names that the caller's arguments have."""
    _, *names = call.split(" ", 1)[0].split("|")
    for ours, theirs in zip(("y_pred", "y_true"), names, strict=False):
        message = message.replace(ours, theirs)
    return message


def handle(address):
    """XLA's call. Returns None, or an error that XLA takes over."""
    frame, call = address.contents, ""
    try:
        if frame.extension:
            extension = ctypes.cast(frame.extension, POINTER(Extension)).contents
            if extension.type == METADATA:
                metadata = extension.metadata.contents
                metadata.version.major, metadata.version.minor, metadata.traits = *VERSION, 0
                return None
        if frame.stage == EXECUTE:
            _count(0)
            text, arguments, results = frame.attributes.items[0].contents, frame.arguments, frame.results
            inputs = [array(one, True) for one in arguments.items[: arguments.size]]
            outputs = [array(one, False) for one in results.items[: results.size]]
            call = ctypes.string_at(text.characters, text.length).decode()
            compute(call, inputs, outputs)
    except BaseException as error:  # nothing may cross into C
        message = in_words_of(call, f"{type(error).__name__}: {error}").encode()
        arguments = ErrorArguments(ctypes.sizeof(ErrorArguments), None, message, INVALID_ARGUMENT)
        return frame.api.contents.create_error(ctypes.byref(arguments))
    finally:
        if frame.stage == EXECUTE and not frame.extension:
            _count(1)
    return None


HANDLER = ctypes.CFUNCTYPE(c_void_p, POINTER(Frame))(handle)  # kept: XLA has its address
jax.ffi.register_ffi_target(TARGET, jax.ffi.pycapsule(HANDLER), platform="cpu")


@atexit.register  # before jax's own, which waits with the GIL held, for us who wait for the GIL
def _finish():
    """Wait for what is still being computed."""
    for result in jax.live_arrays():
        with contextlib.suppress(Exception):  # deleted ones, and those of errors that nobody looked at
            result.block_until_ready()
    seen = [0]  # what nobody holds the results of cannot be waited for: until no call came, or is on its way, for a twentieth of a second
    while seen != counted or counted[0] != counted[1]:
        seen = counted[:]
        time.sleep(0.05)


def call(what, rule, results, *arrays):
    """jax arrays of what ("loss", "loss,gradient", "cost_gradient" ...) the loss of a rule gives, shaped and typed as `results`."""
    for one in arrays:
        if one.dtype not in KNOWN:
            raise TypeError(
                f"fastloss.jax computes on float16, bfloat16, float32, float64, integers of 8 to 64 bits and bool, got {one.dtype}"
            )
    losses[rule.loss.spec] = rule.loss
    shapes = [jax.ShapeDtypeStruct(one.shape, one.dtype) for one in results]
    return jax.ffi.ffi_call(TARGET, shapes, vmap_method="expand_dims")(*arrays, call=f"{what}|{'|'.join(rule.names)} {rule.loss.spec}")
