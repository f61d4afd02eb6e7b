"""The logs that people have, as columns: {name: list of values}, None where there is none.

    .csv, .tsv        with a header line (Keras' CSVLogger, Lightning's with its empty cells, CatBoost's, any table)
    .jsonl, .ndjson   an object per line
    .json             a list of objects; an object of lists (Keras' History.history); of objects of lists (evals_result of XGBoost and
                      LightGBM, by data set; or by run); the trainer_state.json of Hugging Face, for its log_history; or lines

Nested names are joined by a slash: {"train": {"rmse": [...]}} is the column train/rmse.
"""

import csv
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

from fastloss.evaluation.errors import DataError, SourceError

MAX_BYTES = 2**28  # a log is read as a whole; what is larger is more likely a file of predictions
MISSING = ("", "none", "null", "na", "n/a", "-")
RUN = "run"  # the column made of the names of an object's runs
SETS = re.compile(r"(train|learn|fit|val|eval|test|dev|hold)\w*", re.IGNORECASE)


@dataclass(frozen=True)
class Log:
    """path: where it came from, or None; columns: {name: list}, all of one length; rows: that length."""

    path: str | None
    columns: dict
    rows: int


def read(path):
    """The Log of a file, by its extension."""
    path = Path(path)
    if path.is_dir():
        raise SourceError(f"{path} is a directory; give log files, or a pattern of them")
    if not path.exists():
        raise SourceError(f"{path}: there is no such file")
    readers = {".csv": of_table, ".tsv": of_table, ".jsonl": of_lines, ".ndjson": of_lines, ".json": of_json}
    if path.suffix.lower() not in readers:
        raise SourceError(f"{path}: unknown kind of log {path.suffix!r}; known are {', '.join(readers)}")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SourceError(f"{path} has {path.stat().st_size} bytes; logs of up to {MAX_BYTES} are read. Is it a file of predictions?")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"it is no text in UTF-8: {error.reason} at byte {error.start}", str(path)) from error
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    if not text.strip():
        raise DataError("the log is empty", str(path))
    return readers[path.suffix.lower()](text, str(path))


def of_table(text, path):
    try:
        lines = list(csv.reader(text.splitlines(), delimiter="\t" if path.lower().endswith(".tsv") else ",", skipinitialspace=True))
    except csv.Error as error:
        raise DataError(f"not a table: {error}", path) from error
    lines = [line for line in lines if line]
    names, rows = [name.strip() for name in lines[0]], lines[1:]
    if len(set(names)) < len(names):
        raise DataError(f"two columns are named {next(name for name in names if names.count(name) > 1)!r}", path)
    for number, row in enumerate(rows):
        if len(row) > len(names):
            raise DataError(f"it has {len(row)} fields, and the header {len(names)}", path, number)
        row += [""] * (len(names) - len(row))  # a run that was killed leaves its last line short
    return log(path, {name: [row[i] for row in rows] for i, name in enumerate(names)})


def of_lines(text, path):
    records, lines = [], text.splitlines()
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            records.append(parsed(line))
        except ValueError as error:
            if number == len(lines) - 1 and records:  # cut short by a run that was killed
                break
            raise DataError(f"line {number + 1} is no JSON: {error}", path) from error
        if not isinstance(records[-1], dict):
            raise DataError(f"line {number + 1} must be an object, got {type(records[-1]).__name__}", path)
    return of_records(records, path)


def of_json(text, path):
    try:
        found = parsed(text)
    except ValueError as error:
        if "\n" in text.strip() and text.lstrip().startswith("{"):
            try:
                return of_lines(text, path)
            except DataError:
                pass
        raise DataError(f"not JSON: {error}", path) from error
    return of_object(found, path)


def parsed(text):
    """A JSON value; ValueError for whatever is wrong with it."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def of_object(found, path=None):
    """The Log of what JSON, or a caller, holds."""
    if isinstance(found, dict) and isinstance(found.get("log_history"), list):
        found = found["log_history"]
    if isinstance(found, dict) and isinstance(found.get("history"), dict):
        found = found["history"]
    if isinstance(found, list) and found and all(isinstance(record, dict) for record in found):
        return of_records(found, path)
    if not isinstance(found, dict) or not found:
        raise DataError(f"it must hold lists by name, or a list of objects, got {type(found).__name__}", path)
    if all(isinstance(part, dict) and part for part in found.values()) and not all(SETS.fullmatch(name) for name in map(str, found)):
        return of_runs(found, path)
    columns = flat(found)
    if not all(isinstance(values, list) for values in columns.values()):
        lists = {name: values for name, values in columns.items() if isinstance(values, list)}
        if not lists:
            raise DataError("it holds no list of numbers by name", path)
        columns = lists
    longest = max(map(len, columns.values()))
    return log(path, {name: values + [None] * (longest - len(values)) for name, values in columns.items()})


def of_runs(found, path):
    """An object of runs, each lists by name: their rows one after the other, with a column RUN."""
    columns, rows = {}, 0
    for name, part in found.items():
        one = of_object(part, path)
        for column in {**dict.fromkeys(columns), **dict.fromkeys([RUN, *one.columns])}:
            here = [str(name)] * one.rows if column == RUN else one.columns.get(column, [None] * one.rows)
            columns.setdefault(column, [None] * rows).extend(here)
        rows += one.rows
    return Log(path, columns, rows)


def of_records(records, path=None):
    if not records:
        raise DataError("it holds no record", path)
    rows = [flat(record) for record in records]
    names = dict.fromkeys(name for row in rows for name in row)
    return log(path, {name: [row.get(name) for row in rows] for name in names})


def flat(record, before=""):
    """{name: value} of an object, with the names of nested ones joined by a slash."""
    found = {}
    for name, value in record.items():
        if isinstance(value, dict):
            found |= flat(value, f"{before}{name}/")
        else:
            found[f"{before}{name}"] = value.tolist() if hasattr(value, "tolist") else list(value) if isinstance(value, tuple) else value
    return found


def log(path, columns):
    rows = len(next(iter(columns.values()), ()))
    if not rows:
        raise DataError("the log has a header, and no rows", path)
    return Log(path, columns, rows)


def number(value):
    """A float, None where there is none; ValueError for what is no number."""
    if value is None:
        return None
    if isinstance(value, str):
        return None if value.strip().lower() in MISSING else float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(value)
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def numbers(log, name):
    """A column as floats and None; DataError for the first that is no number."""
    made = []
    for row, value in enumerate(log.columns[name]):
        try:
            made.append(number(value))
        except (ValueError, TypeError):
            raise DataError(f"column {name!r} must hold numbers, got {value!r}", log.path, row, name) from None
    return made


def is_numeric(log, name):
    """Whether a column holds numbers and nothing else, one at least."""
    try:
        return any(value is not None for value in map(number, log.columns[name]))
    except (ValueError, TypeError):
        return False
