"""Byte streams, cut into blocks of whole lines: standard input, and compressed or plain files.

Memory is a few blocks and the length of a line, at most LONGEST, whatever a stream unfolds to: gzip bombs of short lines take time, and
those without line ends are refused. Zstandard is inflated by pyarrow, if that is there, and else by polars, whose memory was seen to grow
slowly: 600 MB of text took 140 MB. How much a file can unfold to is known before: none of its blocks holds more than 128 KiB.
"""

import gzip
import struct
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from fastloss.evaluation.errors import DataError, SourceError

BLOCK = 2**23
LONGEST = 2**26
# A file that may unfold to more than this many times its size, and not to a little, is taken for a trap; as in npz.py
BOMB_RATIO, BOMB_FLOOR = 100, 2**28
READ_ONCE = "standard input can be read only once; save it to a file first"
LINES = 2**14  # of a zstandard file, at a time
SKIPPABLE, FRAME, LARGEST = 0x184D2A50, 0xFD2FB528, 2**17


class Stream:
    """The bytes of a file, or (path None) of standard input, which is read once: its ``size`` is what was read so far."""

    def __init__(self, path, size, packed=""):
        self.once, self.packed = path is None, packed
        self.path, self.size = ("standard input", 0) if self.once else (path, size)
        if packed == ".zst":
            refuse_bomb(path, size)

    @contextmanager
    def opened(self):
        """A Reader of it."""
        if self.once:
            yield Reader(sys.stdin.buffer, self)
        elif self.packed == ".zst":
            with zstandard(self.path, self) as reader:
                yield reader
        else:
            with (gzip.open if self.packed else open)(self.path, "rb") as file:
                yield Reader(file, self)


class Reader:
    """What is read of a file, with its errors as DataErrors."""

    def __init__(self, file, stream):
        self.file, self.stream = file, stream

    def read(self, count):
        """The next ``count`` bytes, or fewer at the end."""
        packed = {"": None, ".gz": "gzip", ".zst": "zstandard"}[self.stream.packed]
        try:
            found = self.file.read(count)
        except (EOFError, zlib.error, OSError) as error:
            if not packed:
                raise SourceError(f"{self.stream.path} cannot be read: {error.strerror or error}") from error
            raise DataError(f"not a {packed} file, or a truncated or damaged one: {error}", self.stream.path) from error
        if self.stream.once:
            self.stream.size += len(found)
        elif not packed and len(found) < count and self.tell() < self.stream.size:
            raise DataError(f"it had {self.stream.size} bytes, and has {self.tell()}: the file was cut while it was read", self.stream.path)
        return found

    def seek(self, place):
        self.file.seek(max(0, place))

    def tell(self):
        return self.file.tell()


def blocks(read, path, quoted, size=BLOCK):
    """Blocks of whole lines; ``quoted``: line ends between double quotes are none. The last line may lack its end."""
    parts, held, odd = [], 0, False  # what is left over; whether a quote is open at its end
    while piece := read(size):
        found, open_quote = last_end(piece, odd) if quoted else (piece.rfind(b"\n") + 1, False)
        if found:
            yield b"".join([*parts, piece[:found]])
            parts, held = [], 0
            piece = piece[found:]
        odd = open_quote
        parts.append(piece)
        held += len(piece)
        if held > LONGEST:
            raise DataError(f"a line is longer than {LONGEST} bytes{', or a quote is not closed' if quoted else ''}", path)
    if held:
        yield b"".join(parts)


def ahead(blocks):
    """The same blocks, the next one read in a thread while one is in use: inflating takes as long as parsing."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, blocks, None)
        while (block := waiting.result()) is not None:
            waiting = pool.submit(next, blocks, None)
            yield block


def last_end(piece, odd):
    """(what comes after the last line end of ``piece`` outside of quotes, or 0; whether a quote is open at its end). ``odd``: one is open
    at its beginning."""
    after = odd ^ bool(piece.count(b'"') % 2)
    end, inside = len(piece), after
    while (found := piece.rfind(b"\n", 0, end)) >= 0:
        inside ^= bool(piece.count(b'"', found, end) % 2)
        if not inside:
            return found + 1, after
        end = found
    return 0, after


class Pieces:
    """A Reader of an iterator of bytes."""

    def __init__(self, pieces):
        self.pieces, self.rest = pieces, b""

    def read(self, count):
        parts, have = [self.rest], len(self.rest)
        while have < count and (piece := next(self.pieces, None)) is not None:
            parts.append(piece)
            have += len(piece)
        whole = b"".join(parts)
        self.rest = whole[count:]
        return whole[:count]


@contextmanager
def zstandard(path, stream):
    """A Reader of a zstandard file."""
    try:
        import pyarrow
    except ImportError:
        yield Pieces(lines_of(path))
        return
    with pyarrow.input_stream(path, compression="zstd") as file:
        yield Reader(file, stream)


def lines_of(path):
    """The lines of a zstandard file, many at a time, as bytes; their ends are LF."""
    from fastloss.evaluation.frames import FAILURES, pl

    # an interrupt ends the iteration as if the file ended there (frames.chunks), so a last line is added that must arrive
    ended, last = False, pl.LazyFrame({"line": [None]}, schema={"line": pl.String})
    try:
        lines = pl.concat([pl.scan_lines(path, name="line", glob=False), last])
        for batch in lines.collect_batches(chunk_size=LINES, engine="streaming"):
            series = batch.to_series()
            ended = len(series) > 0 and series[-1] is None
            series = series.drop_nulls()
            if len(series):
                yield series.str.join("\n")[0].encode() + b"\n"
    except FAILURES as error:
        raise DataError(f"not a zstandard file of UTF-8 text, or a truncated or damaged one: {str(error).splitlines()[0]}", path) from error
    if not ended:
        raise DataError("reading ended before the end of the file: it was interrupted", path)


def refuse_bomb(path, size):
    """DataError if a zstandard file may unfold to more than BOMB_RATIO times its size, or is none, or is cut. Blocks are not inflated."""
    most, at = 0, 0
    damaged = DataError("not a zstandard file, or a truncated or damaged one", path)
    with open(path, "rb") as file:

        def take(form):
            nonlocal at
            bytes_ = file.read(struct.calcsize(form))
            at += len(bytes_)
            if len(bytes_) < struct.calcsize(form):
                raise damaged
            return struct.unpack(form, bytes_)[0]

        def skip(count):
            nonlocal at
            at += count
            if at > size:
                raise damaged
            file.seek(at)

        while at < size:
            magic = take("<I")
            if magic & 0xFFFFFFF0 == SKIPPABLE:
                skip(take("<I"))
                continue
            if magic != FRAME:
                raise damaged
            flags = take("B")
            single, checksum = flags >> 5 & 1, flags >> 2 & 1
            skip((not single) + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6])
            last = False
            while not last:
                header = take("<H") | take("B") << 16
                last, kind, length = header & 1, header >> 1 & 3, header >> 3
                if kind == 3:
                    raise damaged
                most += length if kind < 2 else LARGEST
                skip(1 if kind == 1 else length)
            skip(4 * checksum)
    if most > BOMB_FLOOR and most > BOMB_RATIO * size:
        message = f"{size} bytes may unfold to {most}, more than {BOMB_RATIO} times as many"
        raise DataError(f"{message}; if that is meant, unpack it first", path)
