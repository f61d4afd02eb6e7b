"""Before a row is read: which files, which columns of each, and whether they can serve. Headers only."""

import glob
import os

from fastloss.evaluation.errors import SourceError
from fastloss.evaluation.joined import Joined, is_file
from fastloss.evaluation.source import Want, label_value, open_source

SHOWN = 20


def expand(paths):
    """The files that paths and patterns name, as a list of text. A pattern's files come sorted; no file may come twice."""
    files = []
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        path = os.fspath(path)
        found = [path]
        if not os.path.exists(path) and glob.has_magic(path):
            found = sorted(glob.glob(path, recursive=True))
            if not found:
                raise SourceError(f"no file matches the pattern {path!r}")
        files += found
    seen = set()
    for file in files:
        if (real := os.path.realpath(file)) in seen:
            raise SourceError(f"{file} is given twice; its rows would count twice")
        seen.add(real)
    return files


def plan(paths, names, positive):
    """[(Source, wants)] of a data set.

    paths     files and patterns; none if every column is a file of its own
    names     {role: name of its column, or path of its .npy file}
    positive  None, or the label of the positive class: y_true becomes ``column == positive``
    """
    files = expand(paths)
    beside = list(dict.fromkeys(name for name in names.values() if is_file(name)))
    inside = [name for name in names.values() if not is_file(name)]
    if not files and inside:
        raise SourceError(f"no file is given that could hold the column {inside[0]!r}; give one, or a .npy file as the column")
    if files and not inside:
        raise SourceError(f"every column is a file of its own, so that {files[0]} would not be read; leave it out")
    if beside and len(files) > 1:
        raise SourceError(f"the column {beside[0]!r} is one file, and would go with one other at most, got {len(files)}")
    sources = [open_source(file) for file in files]
    if beside:
        sources = [Joined(sources[0] if sources else None, beside)]
    return [(source, [resolve(source, role, name, positive) for role, name in names.items()]) for source in sources]


def resolve(source, role, name, positive):
    """The Want of a role, checked against the source."""
    if name not in source.names:
        shown = ", ".join(source.names[:SHOWN]) + (", ..." if len(source.names) > SHOWN else "")
        raise SourceError(f"{source.path} has no column {name!r}; it has {shown or 'none'}")
    column, where = source.column(name), f"{source.path}: column {name!r}"
    if role == "y_true" and positive is not None:
        if column.kind == "other":
            raise SourceError(f"{where} holds {column.type}, which no label can be compared with")
        return Want(role, name, label_value(positive, column, where))
    if column.kind == "text" and role == "y_true":
        remedy = "if it holds labels, name the positive one (positive=..., --positive)"
        raise SourceError(f"{where} must hold numbers or bool, got {column.type}; {remedy}")
    if column.kind not in ("number", "bool"):
        raise SourceError(f"{where} must hold numbers, got {column.type}")
    return Want(role, name)
