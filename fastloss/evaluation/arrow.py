"""Arrow IPC, files and streams: both are a sequence of messages, read one by one, so that a stream needs no seeking and memory is that of a
record batch. A file is that sequence between two magic words, with a directory at its end, which is not needed.

polars decodes the batches. Not by mapping the file: a mapped file that shrinks kills the process, and so do counts and sizes that lie
(polars 2.1), so that those of every message are compared with its bytes before polars sees it.
"""

import struct
from contextlib import closing
from dataclasses import dataclass

from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.frames import FAILURES, column_of, damaged, pieces, pl
from fastloss.evaluation.streams import BOMB_FLOOR, BOMB_RATIO, Stream

MAGIC, MARK = b"ARROW1", 0xFFFFFFFF
END = struct.pack("<Ii", MARK, 0)
SCHEMA, DICTIONARY, BATCH = 1, 2, 3
MOST_META = 2**24
MOST_BODY = 2**31  # of standard input, whose size nobody knows
GROUP = 2**24  # bytes of batches that are decoded together


@dataclass(frozen=True)
class Message:
    """A message: its ``kind``, its header with the 8 bytes before it, the bytes of its body, and the rows that it announces."""

    kind: int
    meta: bytes
    body: int
    rows: int = 0
    id: int = 0
    delta: bool = False


class Table:
    """A table of a flatbuffer: fields by their numbers. Positions outside of it raise struct.error."""

    def __init__(self, data, at):
        self.data, self.at = data, at
        self.fields = at - self.get("<i", at)

    def get(self, form, at):
        if at < 0:
            raise struct.error("before the beginning")
        return struct.unpack_from(form, self.data, at)[0]

    def place(self, number):
        inside = 4 + 2 * number < self.get("<H", self.fields)
        offset = self.get("<H", self.fields + 4 + 2 * number) if inside else 0
        return self.at + offset if offset else None

    def value(self, number, form, default=0):
        place = self.place(number)
        return default if place is None else self.get(form, place)

    def table(self, number):
        place = self.place(number)
        return None if place is None else Table(self.data, place + self.get("<I", place))

    def structs(self, number, form):
        """The structs of a vector, as a list of tuples."""
        place = self.place(number)
        if place is None:
            return []
        start = place + self.get("<I", place)
        count, size = self.get("<I", start), struct.calcsize(form)
        if start + 4 + count * size > len(self.data):
            raise struct.error("beyond the end")
        return list(struct.iter_unpack(form, self.data[start + 4 : start + 4 + count * size]))


def message(meta):
    """(Message, its RecordBatch as a Table or None) of a header with the 8 bytes before it."""
    data = meta[8:]
    root = Table(data, struct.unpack_from("<I", data)[0])
    kind, header = root.value(1, "B"), root.table(2)
    batch = header if kind == BATCH else header.table(1) if kind == DICTIONARY else None
    if header is None or (batch is None and kind in (DICTIONARY, BATCH)):
        raise struct.error("no header")
    body, rows = root.value(3, "<q"), batch.value(0, "<q") if batch else 0
    id_, delta = (header.value(0, "<q"), bool(header.value(2, "B"))) if kind == DICTIONARY else (0, False)
    return Message(kind, meta, body, rows, id_, delta), batch


def checked(batch, found, body):
    """What is wrong with the counts and sizes of a batch, or None."""
    buffers, nodes, variadic = batch.structs(2, "<qq"), batch.structs(1, "<qq"), batch.structs(4, "<q")
    if any(at < 0 or count < 0 or at + count > found.body for at, count in buffers):
        return "its buffers lie outside of it"
    if any(not 0 <= count <= len(buffers) for (count,) in variadic):
        return "it announces more buffers than it has"
    unfolded = found.body
    if batch.place(3) is not None:
        sizes = [struct.unpack_from("<q", body, at)[0] for at, count in buffers if count >= 8]
        if any(size < -1 for size in sizes):
            return "it announces a negative size"
        unfolded += sum(size for size in sizes if size > 0)
        if unfolded > BOMB_FLOOR and unfolded > BOMB_RATIO * found.body:
            return f"{found.body} bytes announce {unfolded}, more than {BOMB_RATIO} times as many; if that is meant, save it uncompressed"
    most = 8 * unfolded + 2**20  # a row takes a bit; or nothing, in a column of nothing but nulls
    if found.rows < 0 or any(not 0 <= nulls <= rows <= most for rows, nulls in nodes):
        return f"it announces {max([found.rows, *(rows for rows, _ in nodes)])} rows in {found.body} bytes"
    return None


class ArrowFile:
    """An Arrow IPC file or stream as a Source; which of the two it is, its first bytes tell."""

    def __init__(self, path, size, _suffix=None):
        self.stream = Stream(path, size)
        self.path, self.once, self.rows, self.schema = self.stream.path, self.stream.once, None, None
        if self.once:
            self.waiting = self.groups(1)
            self.sample = next(self.waiting, None)
        else:
            with closing(self.messages(bodies=False)) as found:
                self.rows = sum(item.rows for item, _ in found if item.kind == BATCH)
        self.names = tuple(self.schema)

    @property
    def size(self):
        return self.stream.size

    def broken(self, what, row=None):
        return DataError(f"not an Arrow file or stream, or a truncated or damaged one: {what}", self.path, row)

    def begin(self, found):
        """Take the first message, which must be the schema."""
        if found.kind != SCHEMA:
            raise self.broken("it does not begin with a schema")
        if self.schema is None:
            self.head = found.meta
            try:
                self.schema = dict(pl.read_ipc_stream(self.head + END).schema)
            except FAILURES as error:
                raise damaged(error, self.path, "Arrow") from error

    def messages(self, bodies=True):
        """(Message, its body) one by one; without ``bodies``, these are passed over, and are None: for files alone."""
        with self.stream.opened() as reader:
            frame, row, first = reader.read(8), 0, True
            at = len(frame)
            if frame[:4] == b"FEA1":
                raise SourceError(f"{self.path} is of Feather's first version; write it again as Arrow IPC, which is Feather's second")
            if frame[:6] == MAGIC:
                self.check_end()
                frame = None
            while True:
                if frame is None:
                    frame = reader.read(8)
                    at += len(frame)
                if len(frame) < 8:
                    raise self.broken("it ends without its end mark", row if row else None)
                mark, length = struct.unpack("<Ii", frame)
                if mark != MARK or not 0 <= length <= MOST_META:
                    raise self.broken(f"no message begins at byte {at - 8}")
                if length == 0:
                    return
                meta = frame + reader.read(length)
                at, frame = at + length, None
                try:
                    found, batch = message(meta)
                except (struct.error, IndexError) as error:
                    raise self.broken(f"a header cannot be read ({error})", row) from error
                if len(meta) < 8 + length or not 0 <= found.body <= (MOST_BODY if self.once else self.size - at):
                    raise self.broken(f"{found.body} bytes are announced, and do not follow", row)
                at += found.body
                body = None
                if bodies:
                    body = reader.read(found.body)
                    if len(body) < found.body:
                        raise self.broken(f"{found.body} bytes are announced, {len(body)} follow", row)
                    wrong = batch and checked(batch, found, body)
                    if wrong:
                        raise self.broken(wrong, row)
                else:
                    reader.skip(found.body)
                if first:
                    self.begin(found)
                elif batch is None:
                    raise self.broken(f"a message of kind {found.kind}", row)
                first = False
                yield found, body
                row += found.rows * (found.kind == BATCH)

    def check_end(self):
        """DataError for a file, which begins with the magic word, that does not end with it."""
        if self.once:
            return
        with open(self.path, "rb") as file:
            file.seek(max(0, self.size - len(MAGIC)))
            if file.read(len(MAGIC)) != MAGIC:
                raise self.broken("it does not end as it begins")

    def groups(self, rows):
        """(first row, bytes of a stream of some batches), of ``rows`` rows in all or GROUP bytes, or little more."""
        dictionaries, batches, first, count, held = {}, [], 0, 0, 0
        with closing(self.messages()) as found:
            for item, body in found:
                full = count >= rows or held >= GROUP or (item.kind == DICTIONARY and not item.delta)
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

    def every(self, rows):
        """The groups from the first on, of standard input once."""
        if not self.once:
            yield from self.groups(rows)
            return
        waiting, self.waiting = self.waiting, None
        if waiting is None:
            raise SourceError(f"{self.path} can be read only once; save it to a file first")
        if self.sample:
            yield self.sample
        yield from waiting

    def frame(self, data, names):
        try:
            return pl.read_ipc_stream(data, columns=list(dict.fromkeys(names)))
        except FAILURES as error:
            raise damaged(error, self.path, "Arrow") from error

    def column(self, name):
        dtype, length = self.schema[name], None
        if dtype == pl.List:
            with closing(self.groups(1) if not self.once else iterator([self.sample] if self.sample else [])) as found:
                for _, data in found:
                    lengths = self.frame(data, [name])[name].drop_nulls().list.len()
                    if len(lengths):
                        length = lengths[0]
                        break
        return column_of(dtype, length)

    def chunks(self, wants, rows):
        with closing(self.every(rows)) as found:
            for first, data in found:
                frame = self.frame(data, [want.name for want in wants])
                try:
                    yield from pieces(frame, self.schema, wants, rows, first, self.path)
                except FAILURES as error:
                    raise damaged(error, self.path, "Arrow") from error


def iterator(items):
    yield from items
