"""Files that hold how far a work came: written whole or not at all, and taken up only by the same work on the same files."""

import os
import signal
import threading
import time
from contextlib import contextmanager

import fastloss as fl
from fastloss.engine.portable import reading, sealed, unsealed
from fastloss.evaluation.errors import DataError, RequestError, SourceError
from fastloss.evaluation.part import Part, Piece
from fastloss.evaluation.work import account_for, difference

MAGIC, WHAT = b"fastloss-evaluation-1 ", "fastloss evaluation state"
EVERY = 30.0  # seconds between saves
SHARE = 50  # of the time, a save takes at most this part
STALE = 600  # seconds after which what a killed process left half-written is taken away


class Saved:
    """What a state file holds.

    document  {"question", "plan"} of its work (work.py)
    part      a Part; opened: the Part of the file that was being read, where broken files are left out, or None
    shards    [[i, n], ...] that it is of; [] if it is the whole; pieces: those that were to be counted, or None for all
    """

    def __init__(self, path, document, part, opened=None, shards=(), pieces=None):
        self.path, self.document, self.part, self.opened = os.fspath(path), document, part, opened
        self.shards, self.pieces = [list(shard) for shard in shards], pieces

    @property
    def files(self):
        """How many rows each file has, None where that is not known before it is read."""
        return [entry["rows"] for entry in self.document["plan"]["files"]]

    @property
    def paths(self):
        return [entry["files"][0]["path"] for entry in self.document["plan"]["files"]]

    def write(self):
        """Replace the file by one that holds this."""
        replaced(self.path, sealed(MAGIC, {
            **self.document, "shards": self.shards, "part": self.part.fields(), "opened": self.opened and self.opened.fields(),
            "pieces": self.pieces and [[piece.file, piece.first, piece.rows] for piece in self.pieces],
        }))  # fmt: skip


def load(path):
    """The Saved of a file. SourceError if it cannot be read, DataError if it is damaged or no such file."""
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    try:
        fields = unsealed(MAGIC, data, WHAT)
        with reading(WHAT):
            version = str(fields["question"]["fastloss"])
    except ValueError as error:
        raise damaged(error, path) from error
    if version != fl.__version__:
        raise RequestError(f"{path} was saved by fastloss {version}, and this is {fl.__version__}; delete it to begin anew")
    try:
        with reading(WHAT):
            document = {name: fields[name] for name in ("question", "plan")}
            checked(document)
            made = Saved(path, document, None, None, fields["shards"], fields["pieces"])
            if not all(len(shard) == 2 and all(type(n) is int for n in shard) and 1 <= shard[0] <= shard[1] for shard in made.shards):
                raise ValueError("its shards are none")
            made.part = Part(account_for(document["question"])).add_fields(fields["part"], made.files)
            if fields["opened"] is not None:
                made.opened = made.part.another().add_fields(fields["opened"], made.files)
                (number,) = made.opened.covered.ranges
                if not document["question"]["keep_going"] or made.part.covered.has(number, 0, 1):
                    raise ValueError("a file is counted, and still to be counted")
            if made.pieces is not None:
                made.pieces = [Piece(*piece) for piece in made.pieces]
    except ValueError as error:
        raise damaged(error, path) from error
    return made


def damaged(error, path):
    return DataError(f"{error}; save to another file, or delete it to begin anew", path)


def checked(document):
    """ValueError unless it is what work.py writes."""
    plan = document["plan"]
    for entry in plan["files"]:
        if not (entry["rows"] is None or (type(entry["rows"]) is int and entry["rows"] >= 0)) or not entry["files"]:
            raise ValueError("a file of its plan has no rows")
        for file in entry["files"]:
            if not isinstance(file["path"], str) or not isinstance(file["sample"], str) or type(file["mtime_ns"]) is not int:
                raise ValueError("a file of its plan has no name")
            if type(file["bytes"]) is not int:
                raise ValueError("a file of its plan has no size")
    if not all(isinstance(text, str) for pair in plan["left_out"] for text in pair) or not isinstance(plan["columns"], dict):
        raise ValueError("its plan is none")
    if not all(isinstance(text, str) for text in [*plan["notes"], *(plan["classes"] or ())]) or not isinstance(plan["text"], bool):
        raise ValueError("its plan is none")


def resumed(path, document, shards, pieces):
    """The Saved of a path: what is there, if it is of the same work, or else a new one, which is written at once."""
    if not os.path.exists(path):
        made = Saved(path, document, Part(account_for(document["question"])), None, shards, pieces)
        made.write()
        return made
    found = load(path)
    before, now = found.document["question"], document["question"]
    what = difference(found.document, document | {"question": covered_by(now, before)})
    if what is not None:
        what += remedy(covered_by(now, before), before)
    if what is None and found.shards != [list(shard) for shard in shards]:
        before, now = (", ".join(f"{i}/{n}" for i, n in each) or "the whole" for each in (found.shards, shards))
        what = f"it was {'shard ' * bool(found.shards)}{before}, and is {'shard ' * bool(shards)}{now}"
    if what is None and found.pieces != pieces:
        what = "the shard has other rows"
    if what is not None:
        raise RequestError(f"{found.path} was begun as other work: {what}; delete it to begin anew, or save to another file")
    return found


def covered_by(question, saved):
    """A question as one that was saved has it, where that answers more: who goes on may leave such answers out."""
    found = dict(question)
    if saved["spread"] is True and not found["spread"]:
        found |= {name: saved[name] for name in ("spread", "quantiles")}
    if saved["bootstrap"] and not found["bootstrap"]:
        found |= {name: saved[name] for name in ("bootstrap", "seed")}
    if not question["spread"] and not question["bootstrap"] and (found["spread"] or found["bootstrap"]):
        found["confidence"] = saved["confidence"]
    if (saved["worst"] or 0) > (found["worst"] or 0):
        found["worst"] = saved["worst"]
    if saved["calibration"] and not found["calibration"]:
        found["calibration"] = saved["calibration"]
    return found


def remedy(question, saved):
    """What to do where a question is not that which was saved, as the end of a sentence: the flag to add, or which was not there."""
    name = next((name for name in saved if question.get(name) != saved[name]), None)
    flag = {"quantiles": "--quantile", "losses": "--loss"}.get(name, f"--{name}".replace("_", "-"))
    if name in ("spread", "worst") and not saved[name]:
        return f"; it was begun without {flag}, which --html asks for, too"
    if name in ("fastloss", "bits", None) or not saved[name] or question[name]:
        return ""
    values = saved[name] if isinstance(saved[name], list) else [saved[name]]
    return f"; to go on add {' '.join(flag if value is True else f'{flag} {value}' for value in values)}"


class Keeper:
    """Saves when it is called and so many seconds have passed; more, where saving would take more than a fiftieth of the time: of 33 M rows
    of Parquet, a state takes 16 ms, most of them the disk's, and one of 1,000 segments 35 to 50. 0: whenever it is called."""

    def __init__(self, saved, every):
        if isinstance(every, bool) or not isinstance(every, int | float) or not every >= 0:
            raise RequestError(f"`save_every` must be a number of seconds >= 0, got {every!r}")
        self.saved, self.every, self.last, self.took, self.interrupted = saved, every, time.monotonic(), 0.0, False

    def __call__(self, part, opened):
        started = time.monotonic()
        if self.interrupted or started - self.last >= max(self.every, SHARE * self.took * (self.every > 0)):
            self.saved.part, self.saved.opened = part, opened
            self.saved.write()
            self.last = time.monotonic()
            self.took = self.last - started
        if self.interrupted:
            rows = sum(each.covered.total for each in (part, opened) if each is not None)
            raise KeyboardInterrupt(f"interrupted: {rows} rows are saved to {self.saved.path}; the same again goes on from there")

    @contextmanager
    def interruptions(self):
        """While this lasts, Ctrl-C saves when the chunk is counted, and only then interrupts; pressed again, it does so at once, and leaves
        what was saved before. Only where Ctrl-C is Python's own, and in the main thread, which alone hears of it."""
        before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
        if before is not signal.default_int_handler:
            yield
            return

        def noted(number, frame):
            if self.interrupted:
                before(number, frame)
            self.interrupted = True

        signal.signal(signal.SIGINT, noted)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def replaced(path, data):
    """Write a file so that at any moment either all of what was there before is there, or all of this."""
    path = os.path.realpath(path)  # a link stays one
    folder, name = os.path.split(path)
    prefix, temporary = f".{name}.", None
    try:
        for stale in os.listdir(folder):
            place = os.path.join(folder, stale)
            if stale.startswith(prefix) and stale.endswith(".tmp") and os.stat(place).st_mtime < time.time() - STALE:
                os.unlink(place)
        temporary = os.path.join(folder, f"{prefix}{os.getpid()}-{time.monotonic_ns()}.tmp")
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        temporary = None
        if hasattr(os, "O_DIRECTORY"):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)  # the name, too
            finally:
                os.close(handle)
    except OSError as error:
        raise RequestError(f"the state cannot be saved to {path}: {error.strerror}") from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
