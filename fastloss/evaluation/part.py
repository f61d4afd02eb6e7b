"""Part of a work: the rows that were counted, and what they came to. Parts of the same work add up to the same bits in any order."""

from contextlib import closing
from dataclasses import dataclass

import numpy as np

from fastloss.evaluation.coverage import Covered
from fastloss.evaluation.errors import DataError


@dataclass(frozen=True)
class Piece:
    """Rows to be counted: ``rows`` of them (None: all) from row ``first`` on, of the file of that number in the plan."""

    file: int
    first: int = 0
    rows: int | None = None

    @property
    def stop(self):
        return None if self.rows is None else self.first + self.rows


class Part:
    """account: an Account; covered: which rows it has counted; positives: how many targets were the positive label."""

    def __init__(self, account):
        self.account, self.covered, self.positives = account, Covered(), 0

    def another(self):
        """An empty one for the next file, to be merged."""
        return Part(self.account.another())

    def chunks(self, work, piece, n_threads, chunk_rows):
        """Count the rows of a piece, from the first one on that is not counted yet; yields after each chunk."""
        source, wants = work.parts[piece.file]
        if wants is None:  # it has no rows, and is not looked at
            self.covered.ends[piece.file] = 0
            return
        at, own = self.covered.reached(piece.file, piece.first), wants[: len(wants) - len(self.account.segments.names)]
        self.account.segments.begin(source, wants)
        with closing(source.chunks(wants, work.task.chunk_rows(wants, chunk_rows), at, piece.stop)) as found:
            for chunk in found:
                arguments = self.account.update(work.task, chunk, source, own, piece.file, n_threads)
                if work.asked["positive"] is not None:
                    self.positives += int(np.count_nonzero(arguments["y_true"] == 1))  # NaN where all targets are missing
                self.covered.add(piece.file, chunk.first, chunk.first + chunk.rows)
                at = chunk.first + chunk.rows
                yield
        stop = source.rows if piece.stop is None else piece.stop
        if stop is not None and at != stop:
            raise DataError(f"its rows ended at row {at}, of {stop}: it was changed while it was read", source.path)
        if piece.stop is None or piece.stop == source.rows:
            self.covered.ends[piece.file] = at

    def merge(self, other):
        """Add another of the same work: Twice (coverage.py) if both counted a row."""
        self.covered.merge(other.covered)
        self.account.merge(other.account)
        self.positives += other.positives

    def fields(self):
        """It as JSON."""
        return {"account": self.account.fields(), "covered": self.covered.fields(), "positives": self.positives}

    def add_fields(self, fields, files):
        """Add what ``fields`` told, of files of so many rows each: ValueError if it is no such thing; else as merge."""
        covered, positives = Covered(), fields["positives"]
        covered.take(fields["covered"], files)
        if type(positives) is not int or positives < 0:
            raise ValueError("a count is negative")
        self.covered.merge(covered)
        if self.account.add_fields(fields["account"]) != covered.total:
            raise ValueError("rows and what was counted of them do not agree")
        self.positives += positives
        return self


def count(work, reading, part, pieces, *, opened=None, saved=None, progress=None, n_threads=None, chunk_rows):
    """Count pieces into a Part, but what it has counted already.

    reading   a Reading (plan.py), which notes the files that are left out
    opened    a Part of the file that was being read, where broken ones are left out, and this was saved
    saved     called as saved(part, opened) after each chunk
    """
    total = rows_in(pieces, work)
    for piece in pieces:
        if part.covered.has(piece.file, piece.first, piece.stop):
            continue
        source, into, before = work.parts[piece.file][0], part, len(reading.left_out)
        if reading.keep_going:  # of a file that turns out to be broken nothing may stay
            into = opened if opened is not None and piece.file in opened.covered.ranges else part.another()
        with reading.trying(source.path):
            for _ in into.chunks(work, piece, n_threads, chunk_rows):
                if progress is not None:
                    progress(part.covered.total + (into.covered.total if into is not part else 0), total)
                if saved is not None:
                    saved(part, into if into is not part else None)
            if into is not part:
                part.merge(into)
        if len(reading.left_out) > before:
            error = reading.left_out[-1][1]
            part.covered.left_out[piece.file] = [str(error), isinstance(error, DataError)]
    return part


def rows_in(pieces, work):
    """The rows of pieces, or None if a file does not tell how many it has."""
    known = [piece.rows if piece.rows is not None else work.parts[piece.file][0].rows for piece in pieces]
    ends = [piece.first if piece.rows is None else 0 for piece in pieces]
    return None if None in known else sum(known) - sum(ends)
