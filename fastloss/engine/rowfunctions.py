"""Softmax, its logarithm and the log of its partition function, by the kernels of the losses of rows."""

import functools

import numpy as np

from fastloss.engine import backends, inputs, rows, threads
from fastloss.engine.dtypes import compute_dtype
from fastloss.engine.rowinputs import Columns, is_column, matrix, opened, operand_of, plain, seen_as_rows
from fastloss.engine.specs import class_of
from fastloss.losses import ROW_FUNCTIONS, ROW_REGISTRY

PIECE = 1 << 16  # scores at a time of the few rows that are looked at twice
COMMON = """
    z            scores, any real numbers: an array (N, C), (..., C) or (C,), C >= 2, or a list of C columns, each an array of N
    temperature  what z is divided by; > 0
    out          where the result goes: an array of its shape, of any float dtype{place}; default: a new one
    n_threads    None for as many as pay. The result has the same bits for any number
    dtypes       float16, bfloat16 and float32 compute in float32, float64 and integers in float64; the result has z's dtype (of
                 integers float64). Any strides and byte order; nothing is copied
    accuracy     {accuracy}
    edges        a score of -inf is a class that is not there: {masked}. A NaN or +inf in a row makes it NaN{edges}
    errors       TypeError for dtypes, ValueError for shapes, temperature and `out`
"""


@functools.lru_cache(maxsize=64)
def configured(name, *parameters):
    """A definition of ROW_FUNCTIONS, or a loss, with its parameters."""
    return class_of(ROW_FUNCTIONS.get(name) or ROW_REGISTRY[name])(*parameters)


def scores_of(name, value):
    """(rows, shape without the classes): scores as rowinputs.matrix has them, a single row as one of many; C >= 2."""
    value = opened(name, value)
    if not isinstance(value, list | tuple) or not any(map(is_column, value)):
        value = inputs.as_array(name, value)
        if value.ndim == 1:
            value = value[None]
            z, given = value, ()
        else:
            z, given = plain(matrix(name, value)), value.shape[:-1]
    else:
        z = matrix(name, value)
        given = z.shape[:1]
    if z.shape[1] < 2:
        raise ValueError(f"`{name}` has {z.shape[1]} column{'s' * (z.shape[1] != 1)}; rows of scores are of 2 classes or more")
    return z, given


def compute(loss, z, given, labels=None, out=None, per_class=False, n_threads=None, names=("out", "z"), function=None):
    """A configured function's number per row, or its numbers per class, of rows of scores that scores_of made. Errors about the two
    arrays are in their names, those about the temperature in the function's; labels (one dimension, of classes) are looked at by some."""
    out_name, z_name = names
    n, classes = z.shape
    dtype = compute_dtype(np.dtype(np.int8), z.dtype)
    one, shape = not given, (*given, classes) if per_class else given
    if out is not None and (not isinstance(out, np.ndarray) or out.shape != shape):
        found = f"{out.dtype} {out.shape}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ValueError(f"`{out_name}` must be a writeable float array of shape {shape}, got {found}")
    rows_out = out[None] if one and out is not None else out
    wanted = (not per_class, per_class, False)
    buffers = (None, rows_out, None) if per_class else (rows_out, None, None)
    arrays = rows.outputs_of(buffers, wanted, given or (1,), z, None, None, dtype, (out_name,) * 3, z_name)
    array = arrays[1] if per_class else arrays[0]
    if n:
        label = np.broadcast_to(np.int8(0), (n,)) if labels is None else labels
        to = (operand_of(seen_as_rows(out_name, array)), None) if per_class else (None, None)
        flat = None if per_class else rows.flat(array)
        workers = threads.choose(n_threads, n * classes * loss.nanoseconds * (1 + per_class))
        bounds, loss_to = [bound_of(loss, dtype, function or loss.name)], None if per_class else inputs.describe(flat)
        backends.current().run_rows(
            bounds, n, classes, operand_of(z), inputs.describe(label), None, loss_to, to, int(per_class), False, False, 1.0, workers
        )
        if not per_class and not np.may_share_memory(flat, array):
            array[...] = flat.reshape(array.shape)
    else:
        threads.choose(n_threads, 0.0)
    return out if out is not None else array.reshape(shape)[()]


def tempered(name, function, temperature):
    """A definition at a temperature, for a function of another name, which errors have."""
    parameter = configured(name).definition.parameters["temperature"]
    return configured(name, parameter.check(function, "temperature", temperature))


def bound_of(loss, dtype, function):
    """The kernel; a parameter that does not survive rounding to the dtype is an error of the function."""
    try:
        return loss.bound(dtype)
    except ValueError as error:
        raise ValueError(str(error).replace(loss.name, function)) from None


def softmax(z, *, temperature=1.0, out=None, n_threads=None):
    """exp(z_j / temperature) / sum_k exp(z_k / temperature): probabilities of classes, shaped as z. scipy.special.softmax, of the last
    axis."""
    loss = tempered("log_sum_exp", "softmax", temperature)
    return compute(loss, *scores_of("z", z), out=out, per_class=True, n_threads=n_threads, function="softmax")


def log_softmax(z, *, temperature=1.0, out=None, n_threads=None):
    """The logarithm of softmax(z, temperature), shaped as z. scipy.special.log_softmax, of the last axis."""
    loss = tempered("log_softmax", "log_softmax", temperature)
    return compute(loss, *scores_of("z", z), out=out, per_class=True, n_threads=n_threads)


def logsumexp(z, *, temperature=1.0, out=None, n_threads=None):
    """temperature log(sum_k exp(z_k / temperature)) of every row: shape (N,), (...) or, of one row, a number. scipy.special.logsumexp, of
    the last axis; with a temperature, the smooth largest score whose gradient is softmax(z, temperature)."""
    z, given = scores_of("z", z)
    loss = tempered("log_sum_exp", "logsumexp", temperature)
    found = compute(loss, z, given, out=out, n_threads=n_threads, function="logsumexp")
    result = np.asarray(found)
    bad = np.flatnonzero(result != result)
    step = max(1, PIECE // z.shape[1])
    for at in (bad[start : start + step] for start in range(0, len(bad), step)):  # the kernels make NaN of an infinite largest score
        result.flat[at] = infinite(z, at)  # an `out` of any strides
    return found if out is not None or given else result[()]


logsumexp.__doc__, softmax.__doc__, log_softmax.__doc__ = (
    function.__doc__ + "\n" + COMMON.format(place=place, accuracy=accuracy, masked=masked, edges=edges)
    for function, place, accuracy, masked, edges in (
        (logsumexp, "", "within 4 + log2(C) ULP of the larger of the largest score and what the others add to it", "it adds nothing",
         ", or where only its largest score is infinite, that"),
        (softmax, "; it may be z itself", "within 4 + log2(C) ULP, of the smallest probabilities, too", "its probability is 0",
         ", and so does a row of only -inf"),
        (log_softmax, "; it may be z itself", "within 4 + log2(C) ULP, of the most probable class, too, whose -log p is far smaller than "
         "z", "its log-probability is -inf", ", and so does a row of only -inf"),
    )
)  # fmt: skip


def infinite(z, at):
    """The largest scores of some rows where they are infinite, else NaN."""
    parts = [column[at] for column in z.arrays] if isinstance(z, Columns) else z[at].T
    most = functools.reduce(np.maximum, (np.asarray(part, np.float64) for part in parts))
    return np.where(np.isinf(most), most, np.nan)
