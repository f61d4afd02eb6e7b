"""The element types that the kernels load, and the rule which precision a call computes in."""

import numpy as np

# Positions are the codes of kernels/tile.h.
NAMES = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "bfloat16", "float32", "float64")
BFLOAT16 = NAMES.index("bfloat16")
BITS = np.dtype([("bfloat16", np.uint16)])  # bfloat16 of those who have no ml_dtypes: array.view(BITS) of its bits
CODES = {np.dtype(name): code for code, name in enumerate(NAMES) if name != "bfloat16"}
SWAPPED = {dtype.newbyteorder(): code for dtype, code in CODES.items() if dtype.itemsize > 1}


def code_of(dtype):
    """(code, swapped) of a NumPy dtype, or None if it is none of ours. bfloat16 is ml_dtypes', known by its name, or BITS."""
    if dtype in CODES:
        return CODES[dtype], False
    if dtype in SWAPPED:
        return SWAPPED[dtype], True
    if dtype.kind == "V" and dtype.itemsize == 2 and (dtype.name == "bfloat16" or dtype == BITS):
        return BFLOAT16, False
    return None


def is_float(dtype):
    """Of a dtype that code_of knows: is it a float type? (bfloat16's kind is "V".)"""
    return dtype.kind in "fV"


def compute_dtype(y, p):
    """float64 if either is, or if the prediction is of integers; else float32. The arguments are dtypes."""
    wide = p.kind not in "fV" or p.itemsize == 8 or (y.kind == "f" and y.itemsize == 8)
    return "float64" if wide else "float32"


def output_dtype(p, compute):
    """Per-sample outputs have the prediction's dtype, in native byte order."""
    return p.newbyteorder("=") if is_float(p) else np.dtype(compute)


def number(value):
    """An element of an array as Python's number; of a bfloat16, which NumPy cannot read, by its bits."""
    if value.dtype == BITS:
        value = np.uint32(int(value["bfloat16"]) << 16).view(np.float32)
    return value.item() if not isinstance(value.item(), bytes) else float(value)
