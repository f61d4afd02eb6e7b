"""Columns that lie in .npy files of their own, beside the columns of one file or of none."""

from contextlib import ExitStack, closing

from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.source import Chunk, open_source


def is_file(name):
    """Whether a column's name means a .npy file that is that column."""
    return name.lower().endswith(".npy")


class Joined:
    """One Source of a file (or None) and of the .npy files that some columns' names are; row i belongs to row i."""

    def __init__(self, main, paths):
        self.main = main
        self.columns = {path: open_source(path) for path in paths}
        for path, source in self.columns.items():
            if len(source.names) != 1:
                raise SourceError(f"{path}: a column in a file of its own must be 1-D, got columns {', '.join(source.names[:20])}")
        self.parts = parts = [*([main] if main else []), *self.columns.values()]
        self.path = parts[0].path
        self.size = sum(part.size for part in parts)
        self.rows = parts[0].rows
        self.names = (main.names if main else ()) + tuple(self.columns)
        for part in parts[1:]:
            if self.rows is not None and part.rows != self.rows:
                raise DataError(f"files of columns differ in length: {self.path} has {self.rows} rows, {part.path} has {part.rows}")

    def column(self, name):
        source = self.columns.get(name)
        return source.column(source.names[0]) if source else self.main.column(name)

    def path_of(self, name):
        return name if name in self.columns else self.path

    def chunks(self, wants, rows):
        inside = [want for want in wants if want.name not in self.columns]
        with ExitStack() as stack:
            beside = {w: self.columns[w.name].reader([own_name(w, self.columns[w.name])], stack) for w in wants if w.name in self.columns}
            driver = stack.enter_context(closing(self.main.chunks(inside, rows))) if inside else ranges(self.rows, rows)
            done = 0
            for chunk in driver:
                done = chunk.first + chunk.rows
                for path, source in self.columns.items():
                    if done > source.rows:
                        raise DataError(f"files of columns differ in length: {self.path} has more than the {source.rows} rows of {path}")
                found = dict(zip(inside, zip(chunk.arrays, chunk.nulls, strict=True), strict=True))
                found |= {want: (read(chunk.first, chunk.rows)[0], None) for want, read in beside.items()}
                yield Chunk(chunk.first, chunk.rows, tuple(found[w][0] for w in wants), tuple(found[w][1] for w in wants))
        for path, source in self.columns.items():
            if done != source.rows:
                raise DataError(f"files of columns differ in length: {self.path} has {done} rows, {path} has {source.rows}")


def own_name(want, source):
    """The want, with the name that the column has inside its own file."""
    return type(want)(want.role, source.names[0], want.label)


def ranges(total, rows):
    for first in range(0, total, rows):
        yield Chunk(first, min(rows, total - first), (), ())
