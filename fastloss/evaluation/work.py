"""What is to be done, as plain data: the questions asked, and the plan of what is read for them.

Both are JSON, so that a file or another machine can hold them, and two of them can be compared by name.
"""

import hashlib
import json
import os

import numpy as np

import fastloss as fl
from fastloss.evaluation import stores
from fastloss.evaluation.answers import Account
from fastloss.evaluation.errors import RequestError, SourceError
from fastloss.evaluation.plan import Reading
from fastloss.evaluation.rows import RowTask
from fastloss.evaluation.singles import SingleTask
from fastloss.evaluation.source import STANDARD_INPUT

ENDS, BETWEEN, BLOCKS = 2**14, 2**12, 6  # bytes of a file that its sample is of: at its ends, and in blocks between them
ANSWERS = ("spread", "quantiles", "worst", "bootstrap", "seed", "confidence")


class Work:
    """Questions about files.

    paths, asked  arguments of evaluate_files; ``asked`` is a dict of those that decide what the answers are
    account       an Account of the questions
    task          what is read for them; opened when it is asked for
    """

    def __init__(self, paths, asked, format=None):
        self.paths, self.asked = paths, asked
        self.account = account_for(asked)
        self.reading = Reading(format, asked["keep_going"])
        state = self.account.state
        if state.columns:
            raise SourceError("average='macro' or None is of arrays of rows, and not of files; leave it at 'micro'")
        names = {"y_true": asked["target"], "y_pred": asked["prediction"]}
        names |= {} if asked["weight"] is None else {"sample_weight": asked["weight"]}
        self.task = (RowTask if state.rows else SingleTask)(
            *([state] if state.rows else []), paths, names, asked["positive"], asked["classes"], self.account.segments.names, self.reading
        )
        self.parts, self.planned = self.task.parts, list(self.reading.left_out)

    def described(self):
        """What an Evaluation tells of the plan, as JSON."""
        columns = {name: plain(name, self.asked[name]) for name in ("target", "prediction", "weight")} | self.task.columns
        return {
            "files": [{"rows": source.rows, "files": [{"path": part.path, "bytes": part.size} for part in parts_of(source)]}
                      for source, _ in self.parts],
            "left_out": [[os.fspath(path), str(error)] for path, error in self.planned],
            "columns": columns, "classes": self.task.classes and list(self.task.classes), "notes": list(self.task.notes),
            "text": any(wants and isinstance(wants[0].label, str) for _, wants in self.parts),
        }  # fmt: skip

    def document(self):
        """{"question", "plan"}: all of it as JSON, with what changes when a file does."""
        found = self.described()
        for entry, (source, wants) in zip(found["files"], self.parts, strict=True):
            for file, part in zip(entry["files"], parts_of(source), strict=True):
                file |= identity(part, wants)
        return json.loads(json.dumps({"question": question(self.asked, self.account), "plan": found}))


def refuse_standard_input(paths):
    if STANDARD_INPUT in map(str, listed(paths)):
        raise RequestError("standard input is read once, and can neither be resumed nor cut into shards; save it to a file first")


def refuse_inside(paths, written, what="state"):
    """RequestError if what is written would lie in a directory that is evaluated: the next run would take it for one of its files."""
    place = os.path.realpath(written)
    for path in listed(paths):
        if os.path.isdir(path) and os.path.commonpath([os.path.realpath(path), place]) == os.path.realpath(path):
            if any(part[0] in "._" for part in os.path.relpath(place, os.path.realpath(path)).split(os.sep)):
                continue  # where no files are looked for
            raise RequestError(f"the {what} {os.fspath(written)} would be among the files of {os.fspath(path)}; save it outside of it")


def refuse_over(work, output):
    """RequestError if an output would replace a file that is evaluated."""
    place = os.path.realpath(output)
    for source, _ in work.parts:
        for part in parts_of(source):
            if os.path.realpath(part.path) == place:
                raise RequestError(f"`output` would replace {part.path}, which is evaluated; give it another name")


def account_for(asked):
    """An empty Account of the questions."""
    fl.State.learn(asked.get("own", ()))
    return Account(
        lambda: fl.State(asked["losses"], nan=asked["nan"], per_class=asked["per_class"]), asked["by"], asked["max_segments"],
        asked["calibration"], {name: asked[name] for name in ANSWERS} | {"report": asked.get("report", False)},
    )  # fmt: skip


def question(asked, account):
    """What is asked, and what computes it, as JSON."""
    found = {name: plain(name, value) for name, value in asked.items() if name not in ("losses", "own", "report")}
    info = fl.info()
    own = {"own": account.state.own} if account.state.own else {}  # what names mean that the package does not know
    return (
        {"losses": account.state.names}
        | own
        | found
        | {"by": account.segments.names or None, "fastloss": info["version"], "bits": info["bits"]}
    )


def plain(name, value):
    """An argument as JSON."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.ndarray | np.generic):
        return plain(name, value.tolist())
    if isinstance(value, list | tuple):
        return [plain(name, one) for one in value]
    raise SourceError(f"`{name}` must be text, numbers or lists of them where a state is saved, got {value!r}")


def listed(paths):
    return [paths] if isinstance(paths, str | os.PathLike) else list(paths)


def parts_of(source):
    """The Sources, a file each, of a Source of a plan."""
    return getattr(source, "parts", (source,))


def identity(source, wants):
    """{"bytes", "mtime_ns", "sample"} of a Source of one file: size, time of its last change, a digest of some bytes, head and tail among
    them; of a file in a store what is known (stores.py), of the columns that are wanted."""
    path, main = source.path, getattr(source, "main", source)
    if hasattr(main, "address"):
        return stores.identity(main, [want.name for want in wants or ()])
    digest = hashlib.blake2b(digest_size=16)
    try:
        with open(path, "rb", buffering=0) as file:
            found = os.stat(file.fileno())
            last = max(0, found.st_size - ENDS)
            for place in (0, *(last * i // (BLOCKS + 1) for i in range(1, BLOCKS + 1)), last):
                file.seek(place)
                digest.update(file.read(ENDS if place in (0, last) else BETWEEN))
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    return {"bytes": found.st_size, "mtime_ns": found.st_mtime_ns, "sample": digest.hexdigest()}


def digest_of(document):
    """What names a document: parts of other work are refused by it. The times of files are no part of it: copies have others."""
    files = [[{**file, "mtime_ns": 0} for file in entry["files"]] for entry in document["plan"]["files"]]
    text = json.dumps([document["question"], {**document["plan"], "files": files}, [e["rows"] for e in document["plan"]["files"]]])
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def difference(one, other, times=True):
    """What two documents differ in, as a phrase of ``one`` and then of ``other``; or None."""
    for name, value in one["question"].items():
        if value != (now := other["question"].get(name)):
            what = {"fastloss": "the version of fastloss", "bits": "the arithmetic of the kernels (fastloss info: bits)"}.get(
                name, f"`{name}`"
            )
            return f"{what} was {value!r}, and is {now!r}"
    one, other = one["plan"], other["plan"]
    paths, now = ([file["path"] for entry in plan["files"] for file in entry["files"]] for plan in (one, other))
    if paths != now:
        gone, new = [path for path in paths if path not in now], [path for path in now if path not in paths]
        said = [f"{path} is no more among the files" for path in gone[:1]] + [f"{path} is new among the files" for path in new[:1]]
        return " and ".join(said) or "the files are in another order"
    for before, after in zip(one["files"], other["files"], strict=True):
        for file, found in zip(before["files"], after["files"], strict=True):
            if file["bytes"] != found["bytes"]:
                return f"{file['path']} had {file['bytes']} bytes, and has {found['bytes']}: it was changed"
            if file["sample"] != found["sample"]:
                return f"{file['path']} has other contents than it had: it was changed"
            if times and file["mtime_ns"] != found["mtime_ns"]:
                return f"{file['path']} was written again (its time of change is another)"
        if before["rows"] != after["rows"]:
            return f"{before['files'][0]['path']} had {before['rows']} rows, and has {after['rows']}: it was changed"
    for name in one:
        if name != "files" and one[name] != other[name]:
            return f"{name.replace('_', ' ')} of the plan was {one[name]!r}, and is {other[name]!r}"
    return None
