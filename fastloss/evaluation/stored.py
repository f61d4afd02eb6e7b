"""The Sources of files in stores (stores.py): polars' own scans, in batches."""

from fastloss.evaluation.csv import CsvTable
from fastloss.evaluation.errors import SourceError
from fastloss.evaluation.frames import FAILURES, chunks, column_of, first_length, pl, selectors
from fastloss.evaluation.patterns import is_pattern, itself
from fastloss.evaluation.stores import failure, is_web, shown
from fastloss.evaluation.texts import JsonLines

GUESSED_ROWS = 1000


class StoredFile:
    """A file in a store as a Source. headers: what https:// tells of it, {} of others; size: 0 where the store does not tell it."""

    whole = False  # must every column be read, so that polars notices what is wrong with a row?

    def __init__(self, path, size, suffix, options, headers):
        self.address, self.path, self.size, self.suffix, self.options, self.headers = path, shown(path), size, suffix, options, headers
        try:
            self.schema = dict(self.scan().collect_schema())
            self.rows = self.count()
        except FAILURES as error:
            raise self.failed(error) from None
        self.names = tuple(self.schema)

    def failed(self, error):
        return failure(error, self.address)

    def count(self):
        """Rows, where a directory tells them."""
        return self.scan().select(pl.len()).collect(engine="streaming").item()

    def kinds(self, _wants):
        return self.schema

    def column(self, name):
        dtype = self.schema[name]
        try:
            return column_of(dtype, first_length(self.scan(), name) if dtype == pl.List else None)
        except FAILURES as error:
            raise self.failed(error) from None

    def sample(self, names, rows):
        """The first rows of some columns, as a frame."""
        return self.scan().select(selectors.by_name(*dict.fromkeys(names))).head(rows).collect(engine="streaming")

    def chunks(self, wants, rows, first=0, stop=None):
        kinds = self.kinds(wants)
        try:
            yield from chunks(self.scan(kinds), kinds, wants, rows, self.path, first, stop, self.rows, self.whole)
        except FAILURES as error:
            raise self.explained(error, kinds) from None

    def explained(self, error, _kinds):
        return self.failed(error)


class StoredParquet(StoredFile):
    def scan(self, _kinds=None):
        return pl.scan_parquet(self.address, glob=False, hive_partitioning=False, storage_options=self.options)


class StoredArrow(StoredFile):
    def scan(self, _kinds=None):
        return pl.scan_ipc(self.address, glob=False, hive_partitioning=False, storage_options=self.options)


class StoredLines(StoredFile):
    """JSON lines."""

    def scan(self, kinds=None):
        pattern = is_pattern(self.address) and not is_web(self.address)  # it takes every name for one, if it can
        address = itself(self.address) if pattern else self.address
        return pl.scan_ndjson(address, schema=kinds, infer_schema_length=GUESSED_ROWS, storage_options=self.options)

    def count(self):
        return None

    kinds = JsonLines.kinds


class StoredCsv(StoredFile, CsvTable):
    """CSV or TSV."""

    whole = True
    kinds, column = CsvTable.kinds, CsvTable.column

    def scan(self, kinds=None, **more):
        if kinds is not None:
            more = {"schema_overrides": dict.fromkeys(self.names, pl.String) | kinds}
        separator = "\t" if self.suffix == ".tsv" else ","
        return pl.scan_csv(self.address, glob=False, separator=separator, storage_options=self.options, **more)

    def count(self):
        return None

    def explained(self, error, kinds):
        found = self.failed(error)
        return found if isinstance(found, SourceError) else CsvTable.explained(self, error, kinds)


READERS = {
    ".parquet": StoredParquet, ".pq": StoredParquet, ".arrow": StoredArrow, ".feather": StoredArrow, ".ipc": StoredArrow,
    ".jsonl": StoredLines, ".ndjson": StoredLines, ".csv": StoredCsv, ".tsv": StoredCsv,
}  # fmt: skip
