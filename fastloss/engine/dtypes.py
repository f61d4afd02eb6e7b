"""The element types that the kernels load, and the rule which precision a call computes in."""

import numpy as np

# Positions are the codes of kernels/tile.h.
NAMES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "bfloat16", "float32", "float64")
BFLOAT16 = NAMES.index("bfloat16")
CODES = {np.dtype(name): code for code, name in enumerate(NAMES) if name != "bfloat16"}
SWAPPED = {dtype.newbyteorder(): code for dtype, code in CODES.items() if dtype.itemsize > 1}
FLOATS = {"float16", "bfloat16", "float32", "float64"}


def code_of(dtype):
    """(code, swapped) of a NumPy dtype, or None if it is none of ours. bfloat16 is ml_dtypes', known by its name."""
    if dtype in CODES:
        return CODES[dtype], False
    if dtype in SWAPPED:
        return SWAPPED[dtype], True
    if dtype.name == "bfloat16" and dtype.itemsize == 2:
        return BFLOAT16, False
    return None


def compute_dtype(y, p):
    """float64 if either is, or if the prediction is of integers; else float32. The arguments are dtypes."""
    wide = p.name not in FLOATS or "float64" in (y.name, p.name)
    return "float64" if wide else "float32"


def output_dtype(p, compute):
    """Per-sample outputs have the prediction's dtype, in native byte order."""
    return p.newbyteorder("=") if p.name in FLOATS else np.dtype(compute)
