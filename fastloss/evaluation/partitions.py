"""Hive partitions: day=2026-01-01/part-0.parquet. The keys of a file's directories are columns of one value."""

import os
import re
from contextlib import closing
from urllib.parse import unquote

import numpy as np

from fastloss.evaluation.npy import matched
from fastloss.evaluation.segments import Coded
from fastloss.evaluation.source import AS_SEGMENT, AS_TEXT, NOTHING, Chunk, Column, Want, open_source, ranges

NULL = "__HIVE_DEFAULT_PARTITION__"


def keys_of(path):
    """{key: its value as text, or None for a missing one} of a path's directories."""
    pairs = [part.partition("=") for part in os.path.dirname(os.fspath(path)).replace(os.sep, "/").split("/")]
    return {unquote(key): None if value == NULL else unquote(value) for key, sign, value in pairs if sign and key}


class Partitioned:
    """A Source with the keys of its path; a column of the file goes before a key of the same name."""

    def __init__(self, main, keys):
        self.main, self.path, self.texts = main, main.path, keys
        self.keys = {key: constant(text) for key, text in keys.items()}

    size = property(lambda self: self.main.size)
    rows = property(lambda self: self.main.rows)
    names = property(lambda self: (*self.main.names, *(key for key in self.keys if key not in self.main.names)))

    def is_key(self, name):
        return name in self.keys and name not in self.main.names

    def column(self, name):
        if not self.is_key(name):
            return self.main.column(name)
        kind = self.key_kind(name)
        return Column(kind, NOTHING if self.texts[name] is None else f"{kind}, {self.texts[name]!r} of its path")

    def key_kind(self, name):
        return {bool: "bool", str: "text"}.get(type(self.keys[name]), "number")

    def chunks(self, wants, rows, first=0, stop=None):
        inside = [want for want in wants if not self.is_key(want.name)]
        with closing(self.main.chunks(inside, rows, first, stop) if inside else self.empty(rows, first, stop)) as found:
            for chunk in found:
                pairs = dict(zip(inside, zip(chunk.arrays, chunk.nulls, strict=True), strict=True))
                pairs |= {want: self.filled(want, chunk.rows) for want in wants if want not in pairs}
                yield Chunk(chunk.first, chunk.rows, tuple(pairs[w][0] for w in wants), tuple(pairs[w][1] for w in wants))

    def filled(self, want, count):
        """(array, mask of missing values or None) of a key."""
        text, value = self.texts[want.name], self.keys[want.name]
        if text is None:
            return np.full(count, np.nan), np.ones(count, bool)
        if want.label is AS_SEGMENT and isinstance(value, str):
            return Coded(np.zeros(count, np.intp), lambda rows: [value] * len(rows)), None
        as_text = want.label is AS_TEXT or isinstance(want.label, str | tuple)
        return np.repeat(matched(np.array([text if as_text else value]), want.label), count), None

    def empty(self, rows, first, stop):
        """Chunks of no columns: any column will do where the number of rows is not known."""
        if self.rows is not None:
            yield from ranges(self.rows if stop is None else stop, rows, first)
            return
        with closing(self.main.chunks([Want("", self.main.names[0], AS_TEXT)], rows, first, stop)) as found:
            for chunk in found:
                yield Chunk(chunk.first, chunk.rows, (), ())


def constant(text):
    """The value of a key: a number, a bool or text, and NaN for a missing one."""
    if text is None:
        return np.nan
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        return int(text) if text.lstrip("+-").isdecimal() and abs(int(text)) < 2**63 else float(text)
    return text


def opened(path, format=None):
    """The Source of a file, with the keys of its path; as open_source."""
    source, keys = open_source(path, format), keys_of(path)
    return Partitioned(source, keys) if keys else source


def agree(sources):
    """Keys that are numbers (or true or false) in some paths and words in others are words in all."""
    sources = [source for source in sources if isinstance(source, Partitioned)]
    kinds = {}
    for source in sources:
        for key, text in source.texts.items():
            if text is not None:
                kinds.setdefault(key, set()).add(source.key_kind(key))
    for source in sources:
        for key, text in source.texts.items():
            if text is not None and len(kinds[key]) > 1:
                source.keys[key] = text
