"""A dry run: what files hold, which columns look like targets, predictions and weights, what reading will need, and what to do better.

Headers and the first rows are read, and nothing more.
"""

from contextlib import closing
from dataclasses import dataclass, field

import numpy as np

from fastloss.evaluation.columns import natural
from fastloss.evaluation.errors import DataError, SourceError
from fastloss.evaluation.npy import MAX_COLUMNS
from fastloss.evaluation.partitions import agree, opened
from fastloss.evaluation.plan import expand
from fastloss.evaluation.source import AS_TEXT, FORMATS, NOTHING, STANDARD_INPUT, WHOLE, Column, Want, open_source, suffix_of
from fastloss.evaluation.stores import in_stores, is_store, name_of

# names by which columns are guessed, the likeliest first
TARGETS = ("y", "y_true", "target", "label", "labels", "actual", "truth", "ground_truth", "outcome", "class", "t")
PREDICTIONS = (
    "p", "y_pred", "pred", "preds", "prediction", "predictions", "predicted", "prob", "proba", "probability", "score", "y_hat", "yhat",
    "forecast", "logit", "logits", "z", "q",
)  # fmt: skip
WEIGHTS = ("w", "weight", "weights", "sample_weight", "sample_weights")

MOST_COLUMNS = 1000  # that are looked at
LOOKED_AT = 1000  # rows of text
SMALL_GROUP, LARGE_GROUP = 2**14, 2**27  # rows; bytes of the guessed columns, decoded
LARGE = 40 * 2**20  # as parquet.LARGE, which is not imported before a Parquet file is there
LARGE_TEXT = 10**9

# Measured peaks of the whole process, less what grows: polars and NumPy 90 MB, streams of text 170, CSV in polars' threads 370
PROCESS, STREAM, CSV = 90_000_000, 170_000_000, 370_000_000
BATCHES = 220_000_000  # of large row groups of Parquet, through pyarrow
HELD = 3  # times what is decoded at a time: as read, as decoded, and on its way


@dataclass
class Inspection:
    """What is known of a file: ``error`` says why nothing is. ``columns`` is {name: Column}; ``groups``: rows of its row groups or record
    batches, where it has some that are known; ``guess`` is {"target", "prediction", "weight"}, names or None; ``memory``: bytes that an
    evaluation of the guessed columns takes at its peak, about."""

    path: str
    format: str
    bytes: int | None = None
    rows: int | None = None
    columns: dict = field(default_factory=dict)
    groups: tuple | None = None
    guess: dict = field(default_factory=dict)
    memory: int | None = None
    advice: list = field(default_factory=list)
    error: Exception | None = None


@in_stores
def inspect_files(paths, format=None):
    """[Inspection] of files, directories and patterns; both arguments, and ``storage_options``, as of evaluate_files. SourceError if there
    are none."""
    opened = [begun(path, format) for path in expand(paths)]
    agree([source for _, source in opened])
    found = [each if source is None else inspect(each, source, format) for each, source in opened]
    first = next((each for each in found if each.error is None), None)
    for each in found:
        if each.error is None and each is not first:
            missing = [name for name in first.columns if name not in each.columns]
            both = [name for name in first.columns if name in each.columns]
            told = [name for name in both if NOTHING not in (first.columns[name].type, each.columns[name].type)]
            other = [name for name in told if first.columns[name].kind != each.columns[name].kind]
            if missing:
                each.advice.append(f"it lacks {', '.join(missing[:20])}, which {first.path} has; files are matched by names")
            each.advice += [f"{name!r} is {each.columns[name].kind}, and in {first.path} {first.columns[name].kind}" for name in other[:20]]
    return found


def begun(path, format):
    """(Inspection of a file, its Source or None)."""
    found = Inspection(path, suffix_for(path, format).removeprefix("."))
    try:
        return found, opened(path, format)
    except (DataError, SourceError) as error:
        found.error = error
        return found, None


def suffix_for(path, format):
    return f".{format}" if path == STANDARD_INPUT else suffix_of(name_of(path))


def inspect(found, source, format=None):
    """The Inspection of one file, filled in."""
    path, suffix = found.path, suffix_for(found.path, format)
    try:
        found.bytes = source.size
        source = look(found, source, format)
        found.guess = guess(found.columns)
        if any(found.guess.values()):
            for name in guessed(found):
                source.column(name)
        found.rows = source.rows
        sizes = groups(path, suffix, guessed(found))
        found.groups = sizes and tuple(rows for rows, _ in sizes)
        found.memory = memory(found, suffix, max((size for _, size in sizes), default=0) if sizes else None)
        found.advice += advice(found, suffix, sizes) + numbers_as_text(source, found)
    except (DataError, SourceError) as error:
        found.error = error
    return found


def look(found, source, format):
    """Look at the columns, each by itself: an evaluation is hindered by none but those that it reads. Returns a source for those."""
    main = getattr(source, "main", source)
    wide = getattr(main, "width", 1) > MAX_COLUMNS  # a .npy file
    source = main if wide else source
    names, fresh = [WHOLE] if wide else source.names, source
    if wide:
        found.advice.append(f"its {source.width} columns are rows of numbers; name the file as the prediction: --prediction {found.path}")
    elif len(names) > MOST_COLUMNS:
        found.advice.append(f"it has {len(names)} columns, of which {MOST_COLUMNS} were looked at; rows of scores: a 2-D .npy file")
    for name in names[:MOST_COLUMNS]:
        try:
            found.columns[name] = source.column(name)
        except (DataError, SourceError) as error:
            if getattr(source, "once", False):
                raise
            fresh = opened(found.path, format)  # one that has not met columns of another length
            try:
                found.columns[name] = fresh.column(name)
                found.advice.append(f"{error}; columns that are evaluated together must be of one length")
            except (DataError, SourceError) as still:
                found.columns[name] = Column("other", "not to be read")
                found.advice.append(f"{name!r} cannot be read: {still}")
    return source if fresh is source else opened(found.path, format)


def guess(columns):
    """{"target", "prediction", "weight"}: the likeliest column, a pattern of columns ("logit_*"), or None."""
    low = {name.lower(): name for name in reversed(columns)}

    def first(names, kinds, several=True):
        fits = [low[name] for name in names if name in low and columns[low[name]].kind in kinds]
        return next((name for name in fits if several or columns[name].width is None), None)

    numbers = ("number", "bool")
    found = {
        "target": first(TARGETS, (*numbers, "text")),
        "prediction": first(PREDICTIONS, numbers),
        "weight": first(WEIGHTS, numbers, False),
    }
    return found | ({} if found["prediction"] else {"prediction": pattern([n for n in columns if columns[n].kind == "number"])})


def pattern(names):
    """The pattern of the most columns whose names begin with a name of predictions and differ in what follows, or None."""
    starts = {}
    for name in names:
        start, sign, rest = name.rpartition("_")
        if sign and rest and start.lower() in PREDICTIONS:
            starts.setdefault(start, []).append(name)
    most = max(starts, key=lambda start: len(starts[start]), default=None)
    return f"{most}_*" if most and len(starts[most]) > 1 else None


def guessed(found):
    """The names of the columns that are guessed; all, if none is."""
    names = []
    for given in filter(None, found.guess.values()):
        start = given.removesuffix("*")
        names += [name for name in found.columns if name.startswith(start)] if given.endswith("*") else [given]
    return sorted(set(names) or set(found.columns), key=natural)


def groups(path, suffix, names):
    """[(rows, bytes decoded of these columns)] of row groups or record batches, or None where there are none or they are not known."""
    if path != STANDARD_INPUT and is_store(path):
        return None
    if suffix in (".parquet", ".pq"):
        from fastloss.evaluation.parquet import row_groups

        return row_groups(path, names)
    if FORMATS[suffix][0] == "arrow" and path != STANDARD_INPUT:
        source = open_source(path)
        with closing(source.messages(bodies=False)) as messages:
            return [(item.rows, item.body) for item, _ in messages if item.rows and item.kind == 3]
    return None


def memory(found, suffix, largest):
    """Bytes at the peak of an evaluation, about; None where that is not known."""
    kind = FORMATS[suffix][0]
    if kind == "csv":
        return min(CSV, PROCESS + HELD * found.bytes) if found.bytes else CSV
    if kind == "texts":
        return STREAM
    if kind in ("parquet", "arrow"):
        if kind == "parquet" and (largest is None or largest > LARGE):
            return None if largest is None else BATCHES
        return PROCESS + HELD * max(largest or 0, 2**24)
    return PROCESS + 2**25


def advice(found, suffix, sizes):
    """What would make reading faster or smaller, as sentences."""
    kind = FORMATS[suffix][0]
    lists = [name for name, column in found.columns.items() if column.width is not None and kind in ("parquet", "texts")]
    slow = "is a column of lists, which decode slowly; a 2-D .npy, safetensors or an Arrow file is read several times faster"
    said = [f"{name!r} {slow}" for name in lists[:5]]
    if sizes:
        rows, largest = sum(count for count, _ in sizes), max(size for _, size in sizes)
        unit = "row groups" if kind == "parquet" else "record batches"
        if len(sizes) > 1 and rows / len(sizes) < SMALL_GROUP:
            said.append(f"its {len(sizes)} {unit} are small, {rows // len(sizes)} rows on average; 100,000 to 1,000,000 are read faster")
        if kind == "parquet" and largest > LARGE:
            said.append(
                f"its largest of {len(sizes)} {unit} takes {largest} bytes decoded; pyarrow reads them, in about 1.5 times the time"
            )
        elif largest > LARGE_GROUP:
            said.append(f"its largest of {len(sizes)} {unit} takes {largest} bytes decoded, which are held at once; write smaller ones")
    if kind == "parquet" and sizes is None and not is_store(found.path):
        said.append("row groups of more than 40 MB are held several at once; with pyarrow, which is not there, they are read in batches")
    if kind in ("csv", "texts") and (found.bytes or 0) > LARGE_TEXT:
        said.append("as Parquet or Arrow it would be several times smaller and faster to read")
    missing = [role for role in ("target", "prediction") if not found.guess[role]]
    if missing:
        said.append(f"no column looks like a {' or a '.join(missing)}; name it: {', '.join(f'--{role}' for role in missing)}")
    return said


def numbers_as_text(source, found):
    """Advice on columns of text whose first values are numbers."""
    said = []
    if getattr(source, "once", False):
        return said
    for name in [name for name, column in found.columns.items() if column.kind == "text" and column.width is None][:20]:
        with closing(source.chunks([Want("", name, AS_TEXT)], LOOKED_AT)) as chunks:
            chunk = next(chunks, None)
        if chunk is None or (chunk.nulls[0] is not None and chunk.nulls[0].all()):
            continue
        try:
            np.asarray(chunk.arrays[0][:LOOKED_AT]).astype(str).astype(float)
        except ValueError:
            continue
        said.append(f"{name!r} holds numbers as text; save it as numbers, or it cannot be a prediction or a weight")
    return said
