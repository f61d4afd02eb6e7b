"""Arrow IPC files and streams, read message by message: memory is that of a record batch, and a stream needs no seeking.

polars decodes the messages. It does not map files: a mapped file that shrinks kills the process.
"""

import struct
from contextlib import closing
from itertools import repeat

from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.frames import FAILURES, column_of, damaged, list_length, pieces, pl
from fastloss.evaluation.messages import BATCH, DICTIONARY, END, MARK, SCHEMA, checked, directory, message
from fastloss.evaluation.source import within
from fastloss.evaluation.streams import READ_ONCE, Stream

MAGIC = b"ARROW1"
MOST_HEADER = 2**24
MOST_BODY = 2**31  # of standard input, whose size nobody knows
GROUP = 2**24  # bytes of batches that are decoded together


class ArrowFile:
    """An Arrow IPC file or stream as a Source; which of the two it is, its first bytes tell."""

    def __init__(self, path, size, _suffix=None):
        self.stream = Stream(path, size)
        self.path, self.once, self.rows, self.schema, self.blocks = self.stream.path, self.stream.once, None, None, None
        if self.once:
            self.waiting = self.groups(1)
            self.sample = next(self.waiting, None)
        else:
            with self.stream.opened() as reader:
                self.look(reader)
            with closing(self.messages(bodies=False)) as found:
                self.rows = sum(item.rows for item, _ in found if item.kind == BATCH)
        self.names = tuple(self.schema)

    @property
    def size(self):
        return self.stream.size

    def broken(self, what, row=None):
        return DataError(f"not an Arrow file or stream, or a truncated or damaged one: {what}", self.path, row)

    def look(self, reader):
        """Read the directory of a file, which a stream has not."""
        start = reader.read(8)
        if start[:4] == b"FEA1":
            raise SourceError(f"{self.path} is of Feather's first version; write it again as Arrow IPC, which is Feather's second")
        if start[:6] != MAGIC:
            return
        reader.seek(max(0, self.size - 10))
        end = reader.read(10)
        length = struct.unpack_from("<i", end)[0] if end[4:] == MAGIC else -1
        if not 0 < length <= min(MOST_HEADER, self.size - 10):
            raise self.broken("it does not end as it begins")
        reader.seek(self.size - 10 - length)
        try:
            self.head, dictionaries, batches = directory(reader.read(length))
        except struct.error as error:
            raise self.broken(f"its directory cannot be read ({error})") from error
        self.blocks = dictionaries + batches
        self.begin()

    def begin(self):
        try:
            self.schema = dict(pl.read_ipc_stream(self.head + END).schema)
        except FAILURES as error:
            raise damaged(error, self.path, "Arrow") from error

    def messages(self, bodies=True, first=0):
        """(Message, its body) of dictionaries and batches; without ``bodies``, for files alone, these are passed over, and are None. So are
        those of batches before row ``first``."""
        row, known = 0, self.schema is not None
        with self.stream.opened() as reader:
            for place in repeat(None) if self.blocks is None else self.blocks:
                if place is not None:
                    reader.seek(place)
                found = self.header(reader, row, place is None)
                if found is None:
                    return
                item, batch = found
                if not 0 <= item.body <= (MOST_BODY if self.once else self.size - reader.tell()):
                    raise self.broken(f"{item.body} bytes are announced, and do not follow", row)
                wanted = bodies and (self.once or item.kind != BATCH or row + item.rows > first)
                body = reader.read(item.body) if wanted else None
                if not wanted:
                    reader.seek(reader.tell() + item.body)
                elif len(body) < item.body:
                    raise self.broken(f"{item.body} bytes are announced, {len(body)} follow", row)
                if batch is None and self.blocks is None and row == 0 and item.kind == SCHEMA:
                    if not known:
                        self.head, known = item.meta, True
                        self.begin()
                    continue
                if batch is None or not known:
                    raise self.broken(f"a message of kind {item.kind} where batches should be", row)
                if wanted and (wrong := checked(batch, item, body)):
                    raise self.broken(wrong, row)
                yield item, body
                row += item.rows * (item.kind == BATCH)

    def header(self, reader, row, may_end):
        """(Message, its RecordBatch as a Table) at the reader's place, or None for the end of a stream."""
        frame = reader.read(8)
        if self.once and frame[:6] == MAGIC:
            raise SourceError("standard input is an Arrow file, whose directory is at its end; write a stream, or name the file")
        if len(frame) < 8:
            raise self.broken("it ends without its end mark", row)
        mark, length = struct.unpack("<Ii", frame)
        if mark != MARK or not may_end <= length + may_end <= MOST_HEADER:
            raise self.broken("no message begins where one should", row)
        if length == 0:
            return None
        text = reader.read(length)
        if len(text) < length:
            raise self.broken("a header is cut short", row)
        try:
            return message(frame + text)
        except struct.error as error:
            raise self.broken(f"a header cannot be read ({error})", row) from error

    def groups(self, rows, start=0):
        """(first row, bytes of a stream of some batches), of ``rows`` rows in all or GROUP bytes, or little more; those that end before row
        ``start`` are passed over."""
        dictionaries, batches, first, count, held = {}, [], 0, 0, 0
        with closing(self.messages(first=start)) as found:
            for item, body in found:
                if body is None:
                    first += item.rows
                    continue
                full = count >= rows or held >= GROUP or item.kind == DICTIONARY
                if full and batches:
                    yield first, b"".join([self.head, *sum(dictionaries.values(), []), *batches, END])
                    batches, first, count, held = [], first + count, 0, 0
                if item.kind == BATCH and item.rows:
                    batches += [item.meta, body]
                    count, held = count + item.rows, held + item.body
                elif item.kind == DICTIONARY:
                    dictionaries[item.id] = (dictionaries.get(item.id, []) if item.delta else []) + [item.meta, body]
        if batches:
            yield first, b"".join([self.head, *sum(dictionaries.values(), []), *batches, END])

    def every(self, rows, start):
        """The groups from that of row ``start`` on, of standard input all, and once."""
        if not self.once:
            yield from self.groups(rows, start)
            return
        waiting, self.waiting = self.waiting, None
        if waiting is None:
            raise SourceError(READ_ONCE)
        if self.sample:
            yield self.sample
        yield from waiting

    def frame(self, data, names):
        try:
            return pl.read_ipc_stream(data, columns=list(dict.fromkeys(names)))
        except FAILURES as error:
            raise damaged(error, self.path, "Arrow") from error

    def column(self, name):
        dtype = self.schema[name]
        return column_of(dtype, self.first_length(name) if dtype == pl.List else None)

    def first_length(self, name):
        """The length of the first list that a column has (of standard input: in its first batch), or None."""
        if self.once:
            return list_length(self.frame(self.sample[1], [name])[name]) if self.sample else None
        with closing(self.groups(1)) as found:
            return next((length for _, data in found if (length := list_length(self.frame(data, [name])[name])) is not None), None)

    def chunks(self, wants, rows, first=0, stop=None):
        with closing(self.from_start(wants, rows, first)) as found:
            yield from within(found, first, stop)

    def from_start(self, wants, rows, start):
        with closing(self.every(rows, start)) as found:
            for first, data in found:
                frame = self.frame(data, [want.name for want in wants])
                try:
                    yield from pieces(frame, self.schema, wants, rows, first, self.path)
                except FAILURES as error:
                    raise damaged(error, self.path, "Arrow") from error
