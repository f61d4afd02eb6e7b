"""Columns of other libraries, known by their protocols: what is no NumPy array becomes one, without a copy where its memory allows.

In this order: the Arrow C data interface (polars, pyarrow, DuckDB, pandas' columns of Arrow), ``__array__`` and the buffer protocol
(pandas, torch, jax, TensorFlow, xarray, array, memoryview, ctypes ...), DLPack. What is missing becomes NaN, and integers with it floats.
"""

import functools
import sys

import numpy as np

from fastloss.engine import arrow
from fastloss.engine.chunks import LONG, Chunks

OWN = (np.ndarray, np.generic, bool, int, float, complex, str, bytes, list, tuple, range, type(None), Chunks)
HOST = (1, 3, 11, 13)  # DLPack's device types whose memory a CPU reads: itself, and pinned or managed memory of CUDA's and ROCm's
DEVICES = {2: "CUDA", 4: "OpenCL", 7: "Vulkan", 8: "Metal", 10: "ROCm", 14: "oneAPI", 15: "WebGPU"}
COPIES = (("cpu", "{}.cpu()"), ("get", "{}.get()"), ("to_numpy", "{}.to_numpy()"), ("numpy", "{}.numpy()"))
NO_ARRAY = {  # what an object that is no array has, and what is to be done
    "__next__": "an iterator, which can be read once: pass list({0}), or np.fromiter({0}, float)",
    "toarray": "sparse: pass {0}.toarray()",
    "collect": "not computed yet: pass a column of {0}.collect()",
    "as_py": "a scalar of Arrow: pass {0}.as_py()",
}


def is_foreign(value):
    return not isinstance(value, OWN)


def has(value, name):
    """Has it a protocol? Its class is asked first, and once: pandas looks for attributes among labels, which takes long."""
    return class_has(type(value), name) and hasattr(value, name)


class_has = functools.lru_cache(maxsize=1024)(hasattr)


def of_arrow(value):
    return has(value, "__arrow_c_array__") or has(value, "__arrow_c_stream__")


def converted(y_true, y_pred, sample_weight):
    """The three arguments, with arrays or Chunks for what is of other libraries; the rest as it is."""
    if isinstance(y_pred, np.ndarray) and isinstance(y_true, np.ndarray) and sample_weight is None:
        return y_true, y_pred, sample_weight
    if is_foreign(y_pred):
        y_pred = column("y_pred", y_pred)
    if is_foreign(y_true):
        y_true = column("y_true", y_true, narrow(y_pred))
    if is_foreign(sample_weight):
        sample_weight = column("sample_weight", sample_weight)
    return y_true, y_pred, sample_weight


def narrow(prediction):
    """The float type that targets are taken in beside a prediction: that of what is computed with integer targets."""
    dtype = getattr(prediction, "dtype", None)
    return np.float32 if isinstance(dtype, np.dtype) and dtype.kind in "fV" and dtype.itemsize < 8 else np.float64


def column(name, value, floating=np.float64):
    """An object of another library as an array of any dtype, or as Chunks. floating: what integers become if some are missing.

    TypeError for memory of GPUs, for what has to be computed first, and for what is no array."""
    refuse_devices(name, value)
    if has(value, "iloc"):
        return of_pandas(name, value, floating)
    if of_arrow(value):
        found = attempt(name, value, arrow.column, floating)
        return sampled(name, value) if found is None else found
    return attempt(name, value, plain, name)


def plain(value, name):
    """By ``__array__``, the buffer protocol or DLPack."""
    if has(value, "detach"):
        value = value.detach()
        if str(value.dtype) == "torch.bfloat16":
            return bfloat16(name, value)
    array = np.asarray(value)
    if array.dtype == object and not array.ndim:
        if has(value, "__dlpack__"):
            return np.from_dlpack(value)
        words = next((words for method, words in NO_ARRAY.items() if hasattr(value, method)), f"a {type(value).__name__}")
        raise TypeError(words.format(name))
    return array


def attempt(name, value, function, *arguments):
    """What the function gives of the value; errors of other libraries, with the name of the argument."""
    try:
        return function(value, *arguments)
    except MemoryError:
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"`{name}`, a {type(value).__name__}, is no array of numbers: {text}") from error


def bfloat16(name, value):
    """A torch tensor of bfloat16, which NumPy knows of by ml_dtypes alone."""
    try:
        import ml_dtypes
    except ImportError:
        raise TypeError(f"bfloat16 needs `pip install ml_dtypes`; or pass {name}.float()") from None
    return np.asarray(value.view(sys.modules["torch"].int16)).view(ml_dtypes.bfloat16)


def refuse_devices(name, value):
    """TypeError if the memory is not a CPU's, or if there is none yet."""
    device = None
    if has(value, "__dlpack_device__"):
        try:
            number = int(value.__dlpack_device__()[0])
            device = None if number in HOST else DEVICES.get(number, f"DLPack's number {number}")
        except Exception:  # noqa: S110 - it cannot say, and whether it can be read will be seen
            pass
    if device is None and has(value, "__cuda_array_interface__"):
        device = "CUDA"
    if device is not None:
        copy = next((text.format(name) for has, text in COPIES if hasattr(value, has)), f"numpy.asarray of {name} on the host")
        raise TypeError(f"`{name}` is in the memory of a device ({device}), and fastloss computes on CPUs; copy it to the host: {copy}")
    if has(value, "is_meta") and value.is_meta:
        raise TypeError(f"`{name}` is a meta tensor: it has a shape, but no numbers")
    if has(value, "__dask_graph__") and value.__dask_graph__() is not None:
        raise TypeError(f"`{name}` is a dask collection: compute it, or add its blocks to a fl.State; files: evaluate_files(engine='dask')")


def of_pandas(name, value, floating):
    """A Series of pandas: NumPy's, Arrow's, or with a mask of what is missing (Int64, Float64, boolean)."""
    dtype = getattr(value, "dtype", None)
    if dtype is None or isinstance(dtype, np.dtype):
        return attempt(name, value, np.asarray)
    if hasattr(dtype, "pyarrow_dtype") and of_arrow(value):
        found = attempt(name, value, arrow.column, floating)
        return sampled(name, value) if found is None else found
    if getattr(dtype, "kind", "O") not in "iufb" or not value.hasnans:
        return attempt(name, value, np.asarray)
    dtype = np.dtype(f"f{dtype.itemsize}" if dtype.kind == "f" else floating)

    def piece(start, stop):
        return value.iloc[start:stop].to_numpy(dtype, na_value=np.nan)

    return Chunks.of([(len(value), piece)], dtype) if len(value) > LONG else piece(0, len(value))


def sampled(name, value):
    """What is no column of numbers to Arrow, as NumPy sees it: of text and the like the first values alone, enough to refuse it."""
    if not has(value, "__array__"):
        raise TypeError(f"`{name}` must be a column of numbers, got a {type(value).__name__} of something else, a table for instance")
    if np.ndim(value[:1]) == 1 and (some := np.asarray(value[:100])).dtype.kind in "OSTUMm":
        return some
    return attempt(name, value, np.asarray)


def table(name, value):
    """Rows of scores that are no array: {name: column} of a table, an array of a column of lists, or None if it is neither."""
    if has(value, "iloc"):
        if getattr(value, "ndim", 1) != 2 or getattr(getattr(value, "_mgr", None), "is_single_block", False):
            return None
        return {str(label): column(f"{name}[{label!r}]", value.iloc[:, j]) for j, label in enumerate(value.columns)}
    if not of_arrow(value):
        return None
    return attempt(name, value, arrow.table)
