"""Parquet files, through polars. Memory is that of the wanted columns of one row group; see frames.py for the measurements."""

from fastloss.evaluation.frames import FAILURES, chunks, column_of, damaged, first_length, pl


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
        try:
            yield from chunks(self.frame, self.schema, wants, rows, self.path, first, stop, self.rows)
        except FAILURES as error:
            raise damaged(error, self.path, "Parquet") from error
