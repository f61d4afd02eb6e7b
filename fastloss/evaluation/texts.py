"""Lines of text that come as a stream: CSV and TSV, compressed or from standard input, and JSON lines of any kind.

Each block of whole lines (streams.py) is parsed by polars, in all its threads, as a small file of its own. A line of JSON is an object; its
keys are columns, those of the first lines; a key that a line lacks, or null, is a missing value.
"""

import io
import json
from contextlib import closing
from functools import partial

from fastloss.evaluation.csv import CsvTable
from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.frames import FAILURES, column_of, damaged, list_length, pieces, pl
from fastloss.evaluation.source import AS_KEY, AS_SEGMENT, AS_TEXT, within
from fastloss.evaluation.streams import BLOCK, READ_ONCE, Stream, ahead, blocks, last_end

HEAD = 2**20  # bytes of which the columns' kinds are guessed
SHOWN_TEXT = 60


class TextFile:
    """A Source of lines. A subclass parses their blocks; ``quoted``: line ends in double quotes are none."""

    rows = None

    def __init__(self, path, size, suffix, quoted):
        kind, _, packed = suffix.removeprefix(".").partition(".")
        self.kind, self.stream, self.quoted = kind, Stream(path, size, packed and f".{packed}"), quoted
        self.path, self.once = self.stream.path, self.stream.once
        self.begun = self.blocks(HEAD)
        self.head = next(self.begun, b"")
        if not self.head.strip():
            raise DataError("there is nothing in it, not even the names of columns", self.path)
        if not self.once:
            self.begun.close()

    @property
    def size(self):
        return self.stream.size

    def blocks(self, size):
        with self.stream.opened() as reader:
            yield from blocks(reader.read, self.path, self.quoted, size)

    def every(self):
        """The blocks from the first on, of standard input once."""
        if not self.once:
            with closing(self.blocks(BLOCK)) as found:
                yield from ahead(found) if self.stream.packed else found
            return
        begun, self.begun = self.begun, None
        if begun is None:
            raise SourceError(READ_ONCE)
        yield self.head
        yield from begun

    def chunks(self, wants, rows, first=0, stop=None):
        with closing(self.from_start(wants, rows)) as found:
            yield from within(found, first, stop)

    def from_start(self, wants, rows):
        first = 0
        with closing(self.every()) as found:
            for number, block in enumerate(found):
                count = 0
                for chunk in self.parsed(block, number, wants, rows, first):
                    yield chunk
                    count += chunk.rows
                first += count


class CsvStream(TextFile):
    """CSV or TSV as a stream, as a Source."""

    def __init__(self, path, size, suffix):
        super().__init__(path, size, suffix, quoted=True)
        self.separator = "\t" if self.kind == "tsv" else ","
        end = self.head.find(b"\n") + 1
        while end and last_end(self.head[:end], False)[1]:  # inside of a name in quotes
            end = self.head.find(b"\n", end) + 1
        self.line = self.head[:end] if end else self.head + b"\n"  # of the names; each block gets it
        self.table = CsvTable(self.head, self.separator, self.path)
        self.schema, self.names = self.table.schema, self.table.names

    def column(self, name):
        return self.table.column(name)

    def parsed(self, block, number, wants, rows, first):
        data, kinds = block if number == 0 else self.line + block, self.table.kinds(wants)
        try:
            count = 0
            for chunk in pieces(self.table.scan(data, schema_overrides=kinds), kinds, wants, rows, first, self.path):
                yield chunk
                count += chunk.rows
        except FAILURES as error:
            raise self.table.explained(error, kinds, first, data=data) from error
        again = partial(io.StringIO, data.decode(errors="replace"), newline="")
        self.table.refuse_more_fields([data], again, count, first)


class JsonLines(TextFile):
    """JSON lines, as a Source."""

    def __init__(self, path, size, suffix):
        super().__init__(path, size, suffix, quoted=False)
        try:
            self.schema = dict(pl.read_ndjson(self.head, infer_schema_length=None).schema)
        except FAILURES as error:
            raise self.explained(error, self.head, None, 0) from error
        self.names = tuple(self.schema)

    def column(self, name):
        dtype = self.schema[name]
        return column_of(dtype, list_length(self.frame(self.head, {name: dtype})[name]) if dtype == pl.List else None)

    def frame(self, block, kinds):
        return pl.read_ndjson(block, schema=kinds)

    def kinds(self, wants):
        found = {}
        for want in wants:
            dtype = self.schema[want.name]
            if dtype == pl.List:
                found[want.name] = pl.List(pl.Boolean if dtype.inner == pl.Boolean else pl.Float64)
            else:
                as_text = want.label in (AS_TEXT, AS_KEY) or isinstance(want.label, str | tuple)
                as_text |= want.label is AS_SEGMENT and dtype in (pl.String, pl.Null)
                found[want.name] = pl.String if as_text else pl.Boolean if dtype == pl.Boolean else pl.Float64
        return found

    def parsed(self, block, number, wants, rows, first):
        if not block.strip():
            return
        kinds = self.kinds(wants)
        try:
            frame = self.frame(block, kinds)
        except FAILURES as error:
            raise self.explained(error, block, kinds, first) from error
        yield from pieces(frame, kinds, wants, rows, first, self.path)

    def explained(self, error, block, kinds, first):
        """The DataError for a failure: the first line that alone fails, found by halving."""
        lines = [line for line in block.splitlines() if line.strip()]
        start, stop = 0, len(lines)
        while stop - start > 1:
            middle = (start + stop) // 2
            start, stop = (start, middle) if self.fails(lines[start:middle], kinds) else (middle, stop)
        if not self.fails(lines[start:stop], kinds):
            return damaged(error, self.path, "JSON lines")
        return self.complaint(lines[start], kinds or {}, first + start)

    def fails(self, lines, kinds):
        try:
            pl.read_ndjson(b"\n".join(lines) + b"\n", **({"schema": kinds} if kinds else {"infer_schema_length": None}))
        except FAILURES:
            return True
        return False

    def complaint(self, line, kinds, row):
        strange = []
        shown = line[:SHOWN_TEXT].decode(errors="replace") + "..." * (len(line) > SHOWN_TEXT)
        try:
            found = json.loads(line, parse_constant=strange.append)
        except (ValueError, RecursionError) as error:
            return DataError(f"the line must be a JSON object, and is cut or damaged: {error}; it is {shown!r}", self.path, row)
        if strange:
            message = f'{strange[0]} is not JSON; write null, and leave such rows out with nan="skip" (--nan skip)'
            return DataError(message, self.path, row)
        if not isinstance(found, dict):
            return DataError(f"a line must be a JSON object, a key per column, got {shown!r}", self.path, row)
        for name, kind in kinds.items():
            if self.fails([line], {name: kind}):
                noun = "rows of numbers" if kind == pl.List else {pl.Boolean: "true or false", pl.String: "text"}.get(kind, "a number")
                return DataError(f"column {name!r} must hold {noun}, got {json.dumps(found.get(name))[:SHOWN_TEXT]}", self.path, row, name)
        return DataError(f"the line cannot be read: {shown!r}", self.path, row)
