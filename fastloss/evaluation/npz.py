""".npz files: a zip archive of .npy members, each member one column, of numbers or (2-D) of rows. All wanted members must be equally long.

Stored members (np.savez) are read straight from their place in the file; deflated ones (np.savez_compressed) are inflated as a stream,
a chunk at a time, with zipfile checking their CRC. numpy.load, which holds a whole member, is never used.
"""

import os
import struct
import zipfile
import zlib
from contextlib import ExitStack
from dataclasses import replace

from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.npy import CHUNK_BYTES, Buffer, column_of, fill, matched, read_header, rows_of
from fastloss.evaluation.source import Chunk

# A small archive that announces more than this many times its size, and not a little, is taken for a trap. Predictions do not
# compress a hundredfold; an array of one repeated label may, and can be stored.
BOMB_RATIO, BOMB_FLOOR = 100, 2**28

LOCAL_HEADER = struct.Struct("<4s22xHH")  # signature, length of the name, length of the extra field


class NpzFile:
    """A .npz archive as a Source."""

    def __init__(self, path, size, _suffix=None):
        self.path, self.size = path, size
        try:
            with zipfile.ZipFile(path) as archive:
                infos = archive.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise DataError(f"not a NumPy archive, or a truncated one: {error}", path) from error
        self.members = {info.filename.removesuffix(".npy"): info for info in infos}
        if len(self.members) < len(infos):
            raise DataError("two members have the same name", path)
        self.names = tuple(self.members)
        self.headers = {}

    @property
    def rows(self):
        """Rows of the members opened so far (``column``), which are checked to be equally many."""
        return next((header.shape[0] for header in self.headers.values()), None)

    def column(self, name):
        header = self.header(name)
        for other, known in self.headers.items():
            if known.shape[0] != header.shape[0]:
                raise DataError(f"columns differ in length: {other!r} has {known.shape[0]} rows, {name!r} has {header.shape[0]}", self.path)
        self.headers[name] = header
        return replace(column_of(header.dtype), width=width_of(header))

    def header(self, name):
        info, where = self.members[name], f"{self.path}[{name}]"
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataError("the member is encrypted or compressed by another method than deflate, which NumPy does not write", where)
        if info.file_size > BOMB_FLOOR and info.file_size > BOMB_RATIO * info.compress_size:
            message = f"{info.compress_size} bytes announce {info.file_size}, more than {BOMB_RATIO} times as many"
            raise DataError(f"{message}; if that is meant, save it with np.savez", where)
        with ExitStack() as stack:
            header = read_header(self.stream(name, stack).read, info.file_size, where)
        if header.dtype.names or len(header.shape) not in (1, 2):
            found = f"got shape {header.shape} of {header.dtype}"
            raise DataError(f"a member must be 1-D, one plain column, or 2-D, rows of numbers; {found}", where)
        if width_of(header) is not None and header.fortran and info.compress_type != zipfile.ZIP_STORED:
            remedy = "save it with np.savez, or np.ascontiguousarray(array)"
            raise SourceError(f"{where}: rows of an array in Fortran order cannot be read from a compressed member; {remedy}")
        return header

    def stream(self, name, stack):
        """The member's bytes, from its .npy header on; what is opened belongs to ``stack``."""
        info = self.members[name]
        if info.compress_type == zipfile.ZIP_DEFLATED:
            try:
                archive = stack.enter_context(zipfile.ZipFile(self.path))
                return Inflating(stack.enter_context(archive.open(info)), f"{self.path}[{name}]")
            except (zipfile.BadZipFile, OSError, RuntimeError) as error:  # RuntimeError: encrypted, or compressed in unknown ways
                raise DataError(f"the member cannot be read: {error}", f"{self.path}[{name}]") from error
        file = stack.enter_context(open(self.path, "rb", buffering=0))  # noqa: SIM115 - the stack closes it
        file.seek(max(0, info.header_offset))  # a directory that was moved can point before the file
        head = file.read(LOCAL_HEADER.size)
        signature, name_length, extra_length = LOCAL_HEADER.unpack(head) if len(head) == LOCAL_HEADER.size else (b"", 0, 0)
        start = info.header_offset + LOCAL_HEADER.size + name_length + extra_length
        inside = info.header_offset >= 0 and start + info.file_size <= self.size
        if not inside or signature != b"PK\x03\x04" or info.compress_size != info.file_size:
            raise DataError("the archive's directory does not agree with its contents: it is truncated or damaged", f"{self.path}[{name}]")
        file.seek(start)
        return file

    def chunks(self, wants, rows, first=0, stop=None):
        names = list(dict.fromkeys(want.name for want in wants))
        headers = {name: self.headers[name] for name in names}
        rows = max(1, min(rows, CHUNK_BYTES // max(1, *(header.dtype.itemsize * (width_of(header) or 1) for header in headers.values()))))
        with ExitStack() as stack:
            streams = {name: self.stream(name, stack) for name in names}
            buffers = {name: Buffer() for name in names}
            for name, stream in streams.items():
                read_header(stream.read, self.members[name].file_size, f"{self.path}[{name}]")
            starts = {name: stream.tell() for name, stream in streams.items() if headers[name].fortran and width_of(headers[name])}
            end = self.rows if stop is None else stop
            for name, stream in streams.items():
                if name not in starts:  # rows of a Fortran order are sought one by one
                    pass_over(stream, first * headers[name].dtype.itemsize * (width_of(headers[name]) or 1), buffers[name], name, self.path)
            for at in range(first, end, rows):
                count = min(rows, end - at)
                arrays = {}
                for name, stream in streams.items():
                    where, header = f"{self.path}[{name}]", headers[name]
                    if width_of(header) is not None:
                        arrays[name] = rows_of(stream, starts.get(name), header, buffers[name], at, count, where)
                        continue
                    raw = buffers[name].take(count * header.dtype.itemsize)
                    fill(stream, raw, where, at)
                    arrays[name] = raw.view(header.dtype)
                yield Chunk(at, count, tuple(matched(arrays[w.name], w.label) for w in wants), (None,) * len(wants))


def pass_over(stream, count, buffer, name, path):
    """Go ``count`` bytes on: at once in a file, by reading where it is inflated."""
    if not isinstance(stream, Inflating):
        stream.seek(count, os.SEEK_CUR)
        return
    while count:
        part = buffer.take(min(count, CHUNK_BYTES))
        fill(stream, part, f"{path}[{name}]", 0)
        count -= len(part)


def width_of(header):
    """Numbers per row of a member, or None if it is one column."""
    return header.shape[1] if len(header.shape) == 2 and header.shape[1] != 1 else None


class Inflating:
    """A deflated member; what zipfile and zlib say about damage becomes a DataError."""

    def __init__(self, file, where):
        self.file, self.where = file, where

    def read(self, count):
        return self.guarded(self.file.read, count)

    def readinto(self, view):
        return self.guarded(self.file.readinto, view)

    def guarded(self, call, argument):
        try:
            return call(argument)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise DataError(f"the compressed data is damaged: {error}", self.where) from error
