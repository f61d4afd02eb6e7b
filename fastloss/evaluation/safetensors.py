""".safetensors files: 8 bytes with the length of a header, the header in JSON, and tensors as they lie in memory. Each tensor of one or two
dimensions is a column. The header is compared with the size of the file, and its tensors with one another, before memory is taken.
"""

import json
import math
import struct
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

from fastloss.evaluation.errors import DataError
from fastloss.evaluation.npy import CHUNK_BYTES, Buffer, Header, column_of, fill, matched, rows_of
from fastloss.evaluation.npz import width_of
from fastloss.evaluation.source import Chunk, Column

MOST_HEADER = 10**8  # the format's own limit
DTYPES = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8", "I64": "<i8",
    "F16": "<f2", "F32": "<f4", "F64": "<f8",
}  # fmt: skip


class SafetensorsFile:
    """A .safetensors file as a Source."""

    def __init__(self, path, size, _suffix=None):
        self.path, self.size = path, size
        with open(path, "rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else math.inf
            if length > min(MOST_HEADER, size - 8):
                raise DataError(f"not a safetensors file, or a truncated one: its header announces {length} bytes, of {size} in all", path)
            text = file.read(length)
        self.tensors = parse(text, size - 8 - length, path)
        self.start = 8 + length
        self.names = tuple(self.tensors)
        self.opened = {}

    @property
    def rows(self):
        """Rows of the tensors looked at so far (``column``), which are checked to be equally many."""
        return next((shape[0] for shape in self.opened.values()), None)

    def column(self, name):
        tensor = self.tensors[name]
        where = f"{self.path}[{name}]"
        if len(tensor.shape) not in (1, 2):
            raise DataError(f"a tensor must be 1-D, one column, or 2-D, rows of numbers; got shape {list(tensor.shape)}", where)
        for other, shape in self.opened.items():
            if shape[0] != tensor.shape[0]:
                raise DataError(f"columns differ in length: {other!r} has {shape[0]} rows, {name!r} has {tensor.shape[0]}", self.path)
        self.opened[name] = tensor.shape
        column = Column("number", "bfloat16") if tensor.kind == "BF16" else None
        if column is None and tensor.kind not in DTYPES:
            column = Column("other", tensor.kind)
        width = width_of(self.header(tensor))
        return replace(column or column_of(np.dtype(DTYPES[tensor.kind])), width=width)

    def header(self, tensor):
        return Header(np.dtype(DTYPES.get(tensor.kind, "<u2")), False, tensor.shape, self.start + tensor.begin)

    def chunks(self, wants, rows, first=0, stop=None):
        names = list(dict.fromkeys(want.name for want in wants))
        headers = {name: self.header(self.tensors[name]) for name in names}
        rows = max(1, min(rows, CHUNK_BYTES // max(1, *(header.dtype.itemsize * (width_of(header) or 1) for header in headers.values()))))
        with ExitStack() as stack:
            file = stack.enter_context(open(self.path, "rb", buffering=0))
            buffers = {name: Buffer() for name in names}
            end = self.rows if stop is None else stop
            for at in range(first, end, rows):
                count, arrays = min(rows, end - at), {}
                for name, header in headers.items():
                    width = width_of(header)
                    file.seek(header.offset + at * (width or 1) * header.dtype.itemsize)
                    if width is None:
                        raw = buffers[name].take(count * header.dtype.itemsize)
                        fill(file, raw, self.path, at)
                        array = raw.view(header.dtype)
                    else:
                        array = rows_of(file, None, header, buffers[name], at, count, self.path)
                    arrays[name] = widened(array) if self.tensors[name].kind == "BF16" else array
                yield Chunk(at, count, tuple(matched(arrays[w.name], w.label) for w in wants), (None,) * len(wants))


@dataclass(frozen=True)
class Tensor:
    kind: str
    shape: tuple
    begin: int


def parse(text, size, path):
    """{name: Tensor} of a header, whose data has ``size`` bytes."""

    def pairs(items):
        found = dict(items)
        if len(found) < len(items):
            raise ValueError("a name comes twice")
        return found

    try:
        header = json.loads(text.decode(), object_pairs_hook=pairs)
    except (ValueError, RecursionError) as error:
        raise DataError(f"not a safetensors file, or a damaged one: its header is no JSON ({error})", path) from error
    tensors, ends = {}, []
    for name, entry in header.items() if isinstance(header, dict) else [("", None)]:
        if name == "__metadata__":
            continue
        kind, shape, place = map(entry.get, ("dtype", "shape", "data_offsets")) if isinstance(entry, dict) else (None, None, None)
        numbers = [*shape, *place] if isinstance(shape, list) and isinstance(place, list) and len(place) == 2 else [-1]
        if not isinstance(kind, str) or not all(type(n) is int and 0 <= n < 2**62 for n in numbers):
            raise DataError("not a safetensors file, or a damaged one: a tensor needs dtype, shape and data_offsets", f"{path}[{name}]")
        begin, end = place
        item = 2 if kind == "BF16" else np.dtype(DTYPES[kind]).itemsize if kind in DTYPES else None
        if not begin <= end <= size or (item is not None and math.prod(shape) * item != end - begin):
            found = f"{kind} of shape {shape} at {begin} to {end}, and {size} bytes follow the header"
            raise DataError(f"a tensor's size, its place and the file do not agree: {found}; it is truncated or damaged", f"{path}[{name}]")
        tensors[name] = Tensor(kind, tuple(shape), begin)
        ends.append((begin, end))
    ends.sort()
    if any(before > after for (_, before), (after, _) in zip(ends, ends[1:], strict=False)) or max((e for _, e in ends), default=0) != size:
        raise DataError("tensors overlap, or do not fill the file: it is damaged", path)
    return tensors


def widened(array):
    """bfloat16 numbers, given by their bits, as float32, which they are the upper half of: exact, and what losses compute in."""
    wide = np.zeros((*array.shape, 2), "<u2")
    wide[..., 1] = array
    return wide.view("<f4")[..., 0]
