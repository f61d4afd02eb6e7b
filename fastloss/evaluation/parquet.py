"""Parquet files, through polars; those of large row groups through pyarrow, if that is installed.

polars holds several row groups at a time, so that memory is the writer's choice; pyarrow decodes a batch of a row group at a time, and is
slower. Peaks of the process, of 2 GB of float64 and float32, uncompressed, in row groups of

    8 MB     16 MB    32 MB    64 MB    128 MB
    222 MB   261 MB   315 MB   419 MB   721 MB    polars, on 2 cores of Zen 4
                      214 MB   212 MB   218 MB    pyarrow

for which pyarrow took 1.84 s of the CPU where polars took 1.08, with row groups of 32 MB, and 1.89 where it took 1.32, with 128 MB.
Reading 1 MB of a column at once instead of a quarter took a tenth more; a thread that reads ahead brings nothing.
"""

import os
from contextlib import closing

from fastloss.evaluation.errors import DataError
from fastloss.evaluation.frames import FAILURES, chunks, column_of, damaged, first_length, pieces, pl
from fastloss.evaluation.source import within

LARGE = 40 * 2**20  # bytes of the wanted columns in a row group, decoded, above which pyarrow reads
READ_AT_ONCE = 2**18  # bytes of a column: without it, pyarrow reads the whole of its part of a row group


class ParquetFile:
    """A Parquet file as a Source."""

    def __init__(self, path, size, _suffix=None):
        self.path, self.size = path, size
        try:
            self.frame = pl.scan_parquet(path, glob=False, hive_partitioning=False)
            self.schema = self.frame.collect_schema()
            self.rows = self.frame.select(pl.len()).collect(engine="streaming").item()  # from the footer; nothing is decoded
        except FAILURES as error:
            raise damaged(error, path, "Parquet") from error
        self.names = tuple(self.schema)

    def column(self, name):
        dtype = self.schema[name]
        try:
            return column_of(dtype, first_length(self.frame, name) if dtype == pl.List else None)
        except FAILURES as error:
            raise damaged(error, self.path, "Parquet") from error

    def chunks(self, wants, rows, first=0, stop=None):
        found = self.in_batches(wants, rows, first)
        if found is None:
            found = chunks(self.frame, self.schema, wants, rows, self.path, first, stop, self.rows)
        try:
            with closing(found):
                yield from within(found, first, stop)
        except FAILURES as error:
            raise damaged(error, self.path, "Parquet") from error

    def in_batches(self, wants, rows, first):
        """The Chunks from the row group of row ``first`` on, as pyarrow reads them; None where polars is to read."""
        names = list(dict.fromkeys(want.name for want in wants))
        sizes = row_groups(self.path, names)
        if "" in names or not sizes or max(size for _, size in sizes) <= LARGE:  # pyarrow cannot be asked for a column without a name
            return None
        from pyarrow import ArrowException, parquet

        try:
            file = parquet.ParquetFile(self.path, buffer_size=READ_AT_ONCE, pre_buffer=False, page_checksum_verification=True)
            same = pl.from_arrow(file.schema_arrow.empty_table().select(names)).schema
        except (ArrowException, *FAILURES):
            return None
        if any(same[name] != self.schema[name] for name in names):
            return None
        return self.read(file, names, [count for count, _ in sizes], wants, rows, first)

    def read(self, file, names, counts, wants, rows, first):
        from pyarrow import ArrowException

        begun, at = 0, 0
        while begun < len(counts) and at + counts[begun] <= first:
            at += counts[begun]
            begun += 1
        try:
            with file:
                for batch in file.iter_batches(rows, list(range(begun, len(counts))), names):
                    yield from pieces(pl.from_arrow(batch), self.schema, wants, rows, at, self.path)
                    at += len(batch)
        except (ArrowException, OSError) as error:
            raise damaged(f"row {at} or one after it: {error}", self.path, "Parquet") from error
        if at != self.rows:
            raise DataError(f"its directory announces {self.rows} rows, and {at} are there", self.path)


def row_groups(path, names):
    """[(rows, bytes decoded of these columns)] of the row groups of a file; None where pyarrow, which tells them, is not installed, or
    cannot read it."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        return None
    try:
        footer = parquet.read_metadata(path)
        with open(path, "rb") as file:
            file.seek(-8, os.SEEK_END)
            size = int.from_bytes(file.read(4), "little")
    except (ArrowException, OSError):
        return None
    if size != footer.serialized_size:  # it is signed: columns are encrypted, and pyarrow 26 ends the process that asks for their sizes
        return None
    names = set(names)
    columns = [i for i in range(footer.num_columns) if footer.schema.column(i).path.split(".")[0] in names]
    groups = map(footer.row_group, range(footer.num_row_groups))
    return [(group.num_rows, sum(group.column(i).total_uncompressed_size for i in columns)) for group in groups]
