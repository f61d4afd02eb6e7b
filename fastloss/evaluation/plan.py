"""Before a row is read: which files, which columns of each, and whether they can serve. Headers only."""

import glob
import os
from contextlib import contextmanager

from fastloss.evaluation import columns, stores
from fastloss.evaluation.errors import DataError, RequestError, SourceError
from fastloss.evaluation.joined import Joined
from fastloss.evaluation.partitions import agree, opened
from fastloss.evaluation.segments import want_of
from fastloss.evaluation.source import FORMATS, Want, is_file, label_value, place_of, suffix_of


class Reading:
    """How files are read: the format of standard input, and whether broken files are left out."""

    def __init__(self, format=None, keep_going=False):
        self.format, self.keep_going, self.left_out = format, keep_going, []

    @contextmanager
    def trying(self, path):
        """Errors inside are noted as those of a file that is left out, if that is wanted."""
        try:
            yield
        except (DataError, SourceError) as error:
            if not self.keep_going or isinstance(error, RequestError):
                raise
            self.left_out.append((path, error))

    def open(self, files):
        """The Sources of these files."""
        sources = []
        for file in files:
            with self.trying(file):
                sources.append(opened(file, self.format))
        if files:
            self.refuse_none(sources)
        agree(sources)
        return sources

    def refuse_none(self, parts):
        """The first error, if it left no file."""
        if not parts and self.left_out:
            raise self.left_out[0][1]


def expand(paths):
    """The files that paths, directories and patterns name, as a list of text. A pattern's and a directory's files come sorted; no file may
    come twice. What addresses of stores mean, their stores tell."""
    files = []
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        path = os.fspath(path)
        found = [path]
        if stores.is_store(path):
            found = stores.expand(path)
        elif os.path.isdir(path):
            found = inside(path)
        elif not os.path.exists(path) and glob.has_magic(path):
            found = sorted(name for name in glob.glob(path, recursive=True) if not os.path.isdir(name))
            if not found:
                raise SourceError(f"no file matches the pattern {path!r}")
        files += found
    seen = set()
    for file in files:
        stored = stores.is_store(file)
        if (real := stores.unique(file) if stored else os.path.realpath(file)) in seen:
            raise SourceError(f"{stores.shown(file) if stored else file} is given twice; its rows would count twice")
        seen.add(real)
    return files


def inside(folder):
    """The files of a directory and of those in it, sorted; but not what begins with . or _, by which writers hide what is no data."""
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name[0] not in "._"]
        found += [os.path.join(place, name) for name in names if name[0] not in "._"]
    for file in found:
        if suffix_of(file) not in FORMATS:
            remedy = f"give a pattern, such as {os.path.join(folder, '**', '*.parquet')!r}"
            raise SourceError(f"{file} is in the directory, and of no known kind ({', '.join(FORMATS)}); {remedy}")
    if not found:
        raise SourceError(f"the directory {folder} holds no files")
    return sorted(found)


def plan(paths, names, positive, by=(), reading=None):
    """[(Source, wants)] of a data set of single predictions.

    paths     files and patterns; none if every column is a file of its own
    names     {role: name of its column, or path of its .npy file}
    positive  None, or the label of the positive class: y_true becomes ``column == positive``
    by        columns of segments, whose wants come last
    reading   a Reading
    """
    reading = reading or Reading()
    for role, name in names.items():
        if not isinstance(name, str | os.PathLike):
            raise SourceError(f"`{columns.ROLES.get(role, 'weight')}` must name one column, got {name!r}; only losses of rows take several")
    names = {role: os.fspath(name) for role, name in names.items()}
    parts = []
    for source in sources_of(paths, [*names.values(), *by], reading):
        with reading.trying(source.path):
            wants = [resolve(source, role, name, positive) for role, name in names.items()]
            parts.append((source, wants + [want_of(source, name) for name in by]))
    reading.refuse_none(parts)
    return parts


class RowPlan:
    """What there is to read for losses of rows.

    parts    [(Source, wants)], with a Want per column of the targets and predictions; None for wants of a file without rows, which is not
             looked at
    columns  {role: names of its columns, in order}, for the roles that read rows
    width    C
    classes  names of the classes in the order of the prediction's columns, as text, or None
    notes    what the user should know of the choice
    """

    def __init__(self, paths, names, labels, classes=None, by=(), reading=None):
        """``names``, ``by`` and ``reading`` as in plan, but that roles of rows may have a pattern or a list; ``labels``: is the target one
        label per row?"""
        reading = reading or Reading()
        rows = ("y_pred",) if labels else ("y_true", "y_pred")
        for role, name in names.items():
            if role not in rows and not isinstance(name, str | os.PathLike):
                raise SourceError(f"`{columns.ROLES.get(role, 'weight')}` must name one column, got {name!r}")
        if classes is not None and not labels:
            raise SourceError("`classes` are of losses whose target is a label per row; these have a target per class")
        given = columns.class_list(classes)
        single = {role: os.fspath(name) for role, name in names.items() if role not in rows}
        listed = {role: columns.listed(role, names[role]) for role in rows}
        every = [name for role in names for name in ([single[role]] if role in single else listed[role])]
        sources, self.by = sources_of(paths, [*every, *by], reading), by
        self.parts, self.columns, self.width, self.classes, self.notes = [], {}, None, given and list(map(str, given)), []
        for source in sources:
            before = self.columns, self.width, self.classes, list(self.notes)
            with reading.trying(source.path):
                self.add(source, names, rows, single, labels, given)
                continue
            self.columns, self.width, self.classes, self.notes = before  # what is left out decides nothing
        reading.refuse_none(self.parts)

    def add(self, source, names, rows, single, labels, classes):
        if source.rows == 0:
            self.parts.append((source, None))
            return
        found, stars = {}, {}
        for role in rows:
            taken = {*single.values(), *self.by, *(name for other in rows if other != role for name in columns.listed(other, names[other]))}
            found[role], stars[role] = columns.row_wants(source, role, names[role], taken)
        wants = []
        for role in names:
            if role in rows:
                continue
            if role != "y_true":
                wants.append(resolve(source, role, single[role], None))
                continue
            want, by = columns.label_want(source, single[role], classes, stars["y_pred"])
            wants.append(want)
            before = found["y_pred"]
            found["y_pred"], stars["y_pred"] = columns.ordered(source, single[role], before, stars["y_pred"], classes)
            if self.width is None and classes is None and stars["y_pred"]:
                self.name_classes(want, stars["y_pred"], by is not None)
            elif self.width is None and found["y_pred"] != before:
                order = columns.shown(want.name for want in found["y_pred"])
                self.notes.append(f"the prediction's columns, in the order of the classes that they are named for: {order}")
        wants += [want for role in rows for want in found[role]]
        widths = {role: found[role][0].width or len(found[role]) for role in rows}
        self.agree(source, {role: [want.name for want in found[role]] for role in rows}, widths, {role for role in rows if stars[role]})
        self.parts.append((source, wants + [want_of(source, name) for name in self.by]))

    def name_classes(self, want, stars, text):
        """The classes are named by what the pattern's * matched, unless that is their number."""
        if text or not all(star.isdecimal() for star in stars):
            self.classes = stars
        if text:
            self.notes.append(f"the classes of {want.name!r}, by what * of the prediction's columns matched: {columns.shown(stars)}")

    def agree(self, source, chosen, widths, by_pattern):
        """SourceError unless targets, predictions, classes and the files before this one go together."""
        if len(set(widths.values())) > 1:
            both = f"{widths['y_true']} target columns, but {widths['y_pred']} prediction columns"
            raise SourceError(f"{source.path}: {both} ({'; '.join(columns.shown(chosen[role]) for role in chosen)})")
        width = widths["y_pred"]
        if self.width is not None and (width != self.width or chosen != self.columns):
            first = next(other.path for other, wants in self.parts if wants)
            here, there = (columns.shown(names["y_pred"]) for names in (chosen, self.columns))
            raise SourceError(f"{source.path} has another prediction than {first}: {width} columns ({here}), not {self.width} ({there})")
        if self.width is None:
            for role in by_pattern:
                self.notes.append(f"the {columns.ROLES[role]}'s {width} columns, in order: {columns.shown(chosen[role])}")
        self.width, self.columns = width, chosen
        if self.classes and len(self.classes) != width:
            raise SourceError(f"{source.path}: `classes` lists {len(self.classes)}, but the prediction has {width} columns")


def sources_of(paths, names, reading):
    """The Sources of a data set whose columns have these names, some of which may be files of their own."""
    files = expand(paths)
    beside = list(dict.fromkeys(name for name in names if is_file(name)))
    inside = [name for name in names if not is_file(name)]
    if not files and inside:
        raise SourceError(f"no file is given that could hold the column {inside[0]!r}; give one, or a .npy file as the column")
    if files and not inside:
        first = stores.shown(files[0]) if stores.is_store(files[0]) else files[0]
        raise SourceError(f"every column is a file of its own, so that {first} would not be read; leave it out")
    if beside and len(files) > 1:
        raise SourceError(f"the column {beside[0]!r} is one file, and would go with one other at most, got {len(files)}")
    sources = reading.open(files)
    return [Joined(sources[0] if sources else None, beside)] if beside else sources


def resolve(source, role, name, positive):
    """The Want of a role, checked against the source."""
    if name not in source.names:
        hint = columns.remedy(source, role, name)
        hint = "; only losses of rows take several" if role == "y_pred" and ("*" in name or "," in name) else hint
        raise SourceError(f"{source.path} has no column {name!r}; it has {columns.shown(source.names)}{hint}")
    column, where = source.column(name), place_of(source, name)
    if column.width is not None and column.kind != "other":
        found = f"{column.type}, rows of {column.width}"
        raise SourceError(
            f"{where} must be 1-D, one number per row, or hold numbers that losses of rows take; got {found}"
            if is_file(name)
            else f"{where} must hold numbers, got {found}"
        )
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
