"""Messages of Arrow IPC: their headers are flatbuffers, of which little is read here: what kind they are, and what sizes they announce.

polars decodes them, and counts and sizes that lie end its process (polars 2.1); so ``checked`` compares those of a batch with its bytes.
"""

import struct
from dataclasses import dataclass

from fastloss.evaluation.streams import BOMB_FLOOR, BOMB_RATIO

MARK = 0xFFFFFFFF  # each message begins with it, and the length of its header
END = struct.pack("<Ii", MARK, 0)
SCHEMA, DICTIONARY, BATCH = 1, 2, 3


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
    try:
        return wrong_with(batch, found, body)
    except struct.error as error:
        return f"a header cannot be read ({error})"


def wrong_with(batch, found, body):
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


def directory(footer):
    """(header of a schema message, places of dictionaries, places of batches) of the footer of a file.

    The message is a flatbuffer of four fields, made by hand, whose header is the schema inside of the footer, which follows it.
    """
    root = Table(footer, struct.unpack_from("<I", footer)[0])
    schema = root.table(1)
    if schema is None:
        raise struct.error("no schema")
    fixed = struct.pack("<I6HihBxI4x", 16, 12, 12, 4, 6, 8, 0, 12, 4, SCHEMA, 32 + schema.at - 24)
    text = fixed + footer + bytes(-len(footer) % 8)
    parts = [[place for place, _, _ in root.structs(number, "<qi4xq")] for number in (2, 3)]
    return struct.pack("<Ii", MARK, len(text)) + text, *parts
