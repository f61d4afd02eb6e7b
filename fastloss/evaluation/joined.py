"""Columns that lie in .npy files of their own, beside the columns of one file or of none."""

from contextlib import ExitStack, closing
from dataclasses import replace

from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.source import WHOLE, Chunk, open_source, ranges


class Joined:
    """One Source of a file (or None) and of the .npy files that some columns' names are; row i belongs to row i."""

    def __init__(self, main, paths):
        self.main = main
        self.columns = {path: open_source(path) for path in paths}
        for path, source in self.columns.items():
            if source.header.dtype.names:
                raise SourceError(f"{path}: a column in a file of its own must be 1-D or 2-D, got fields {', '.join(source.names[:20])}")
        self.parts = parts = [*([main] if main else []), *self.columns.values()]
        self.path = parts[0].path
        self.size = sum(part.size for part in parts)
        self.rows = parts[0].rows
        self.once = getattr(main, "once", False)
        self.names = (main.names if main else ()) + tuple(self.columns)
        for part in parts[1:]:
            if self.rows is not None and part.rows != self.rows:
                raise DataError(f"files of columns differ in length: {self.path} has {self.rows} rows, {part.path} has {part.rows}")

    def column(self, name):
        source = self.columns.get(name)
        return source.column(own_name(source)) if source else self.main.column(name)

    def path_of(self, name):
        return name if name in self.columns else self.path

    def chunks(self, wants, rows, first=0, stop=None):
        inside = [want for want in wants if want.name not in self.columns]
        with ExitStack() as stack:
            outside = [(want, self.columns[want.name]) for want in wants if want.name in self.columns]
            beside = {want: source.reader([replace(want, name=own_name(source))], stack) for want, source in outside}
            if inside:
                driver = stack.enter_context(closing(self.main.chunks(inside, rows, first, stop)))
            else:
                driver = ranges(self.rows if stop is None else stop, rows, first)
            done = first
            for chunk in driver:
                done = chunk.first + chunk.rows
                for path, source in self.columns.items():
                    if done > source.rows:
                        raise DataError(f"files of columns differ in length: {self.path} has more than the {source.rows} rows of {path}")
                found = dict(zip(inside, zip(chunk.arrays, chunk.nulls, strict=True), strict=True))
                found |= {want: (read(chunk.first, chunk.rows)[0], None) for want, read in beside.items()}
                yield Chunk(chunk.first, chunk.rows, tuple(found[w][0] for w in wants), tuple(found[w][1] for w in wants))
        for path, source in self.columns.items():
            if done != (source.rows if stop is None else stop):
                raise DataError(f"files of columns differ in length: {self.path} has {done} rows, {path} has {source.rows}")


def own_name(source):
    """The name that the column has inside its own file."""
    return source.names[0] if source.width == 1 else WHOLE
