"""Shards' states -> one Evaluation, with the bits of one run; rows that are counted twice, or not at all, are refused by name."""

import glob
import os
import time

from fastloss.evaluation.coverage import Covered, Twice, text_of
from fastloss.evaluation.errors import RequestError, SourceError
from fastloss.evaluation.locked import locked
from fastloss.evaluation.run import finished
from fastloss.evaluation.saved import Saved, load
from fastloss.evaluation.work import difference

SHOWN = 5


def merge_states(paths, partial=None):
    """The Evaluation of states that evaluate_files saved (``state=``, ``shard=``): the same bits as one run on one machine.

    paths    state files, or patterns of them: all shards of one work, in any order; also merged ones that ``partial`` wrote
    partial  path of a file to save the merged state to, which replaces nothing but a state that has no more than it; there may
             then be shards missing, whose rows the Evaluation lacks, and which its ``missing`` names

    Raises SourceError for states of other questions, plans or versions, and for rows that are counted twice or are missing, all by name;
    DataError for files that are damaged, or no states.
    """
    started, whole, counted, times = time.perf_counter(), None, [], []
    before = load(partial) if partial is not None and os.path.exists(partial) else None  # what is no state is not replaced
    for path in expanded(paths):
        found = load(path)
        if whole is None:
            whole = Saved(path, found.document, found.part, None, found.shards)
        elif (what := difference(whole.document, found.document, times=False)) is not None:
            raise RequestError(f"{path} is of other work than {whole.path}: {what}")
        complete(found)
        times += changed(whole, found)
        mine = Covered()
        mine.merge(found.part.covered)
        counted.append((path, mine))
        if found.part is not whole.part:
            add(whole, found, counted)
    gaps = whole.part.covered.missing(whole.files)
    missing = lacking(whole, gaps) if gaps else None
    if missing and partial is None:
        raise RequestError(f"the states are not the whole: {missing['text']}; --partial FILE merges what is there")
    if before is not None and loses(before, whole, gaps):
        raise RequestError(f"{partial} is a state of what these lack; merge it with them, or save to another file (--partial FILE)")
    if partial is not None:
        with locked(partial):
            Saved(partial, whole.document, whole.part, None, sorted(whole.shards)).write()
    plan = whole.document["plan"]
    plan = plan | {"notes": [*plan["notes"], *dict.fromkeys(times)]}
    return finished(whole.part, whole.document["question"], plan, started, missing=missing)


def expanded(paths):
    """The state files that paths and patterns name."""
    found = []
    for path in [paths] if isinstance(paths, str | os.PathLike) else paths:
        path = os.fspath(path)
        found += sorted(glob.glob(path)) if glob.has_magic(path) and not os.path.exists(path) else [path]
    if not found:
        raise SourceError("there are no states to merge")
    seen = set()
    for path in found:
        if (real := os.path.realpath(path)) in seen:
            raise RequestError(f"{path} is given twice; its rows would count twice")
        seen.add(real)
    return found


def complete(found):
    """RequestError if a run was ended before all was counted that it was to count."""
    covered, files, paths = found.part.covered, found.files, found.paths
    if found.pieces is None:
        gaps = [] if found.shards else covered.missing(files)
    else:
        gaps = [
            (piece.file, covered.reached(piece.file, piece.first), piece.stop)
            for piece in found.pieces
            if not covered.has(piece.file, piece.first, piece.stop)
        ]
    if gaps:
        number, first, stop = gaps[0]
        where = text_of(paths[number], first, stop)
        raise RequestError(f"{found.path} is not complete: {where} is not counted yet; run its command again, which goes on from it")


def add(whole, found, counted):
    try:
        whole.part.merge(found.part)
    except Twice as error:
        stop = error.stop
        other = next(path for path, covered in counted if overlaps(covered, error))
        where = text_of(whole.paths[error.number], error.first, stop)
        raise RequestError(f"{where} is counted twice: in {other} and in {found.path}") from error
    whole.shards += found.shards


def loses(before, whole, gaps):
    """Whether what a state has counted would be lost if a merged one, which has these gaps, took its place."""
    if difference(whole.document, before.document, times=False) is not None:
        return True
    covered = before.part.covered
    return any(
        any((stop is None or start < stop) and first < end for start, end in covered.ranges.get(number, ()))
        or (stop is None and (number in covered.ends or number in covered.left_out))
        for number, first, stop in gaps
    )


def overlaps(covered, error):
    """Whether it has the rows that are counted twice."""
    if error.stop is None:
        return any(error.number in held for held in (covered.ranges, covered.ends, covered.left_out))
    return any(first < error.stop and error.first < stop for first, stop in covered.ranges.get(error.number, ()))


def changed(one, other):
    """[note] of files that were written at another time where shards read them; what was compared of their contents is the same."""
    pairs = zip(one.document["plan"]["files"], other.document["plan"]["files"], strict=True)
    files = [(a, b) for before, after in pairs for a, b in zip(before["files"], after["files"], strict=True)]
    said = "was written at different times where it was read; size, and a sample of its bytes, are the same"
    return [f"{a['path']} {said}" for a, b in files if a["mtime_ns"] != b["mtime_ns"]]


def lacking(whole, gaps):
    """What is missing, as an Evaluation has it: {"text", "shards": ["2/3", ...], "rows": [{"path", "first", "stop"}, ...]}."""
    texts = [text_of(whole.paths[number], first, stop) for number, first, stop in gaps]
    text = f"{', '.join(texts[:SHOWN])}{', ...' * (len(texts) > SHOWN)} {'is' if len(texts) == 1 else 'are'} counted in none"
    counts, gone = {n for _, n in whole.shards}, []
    if len(counts) == 1:
        n, there = counts.pop(), {i for i, _ in whole.shards}
        gone = [f"{i}/{n}" for i in range(1, n + 1) if i not in there]
    if gone:
        several = len(gone) > 1
        text = f"shard{'s' * several} {', '.join(gone[:SHOWN])}{', ...' * (len(gone) > SHOWN)} {'are' if several else 'is'} missing: {text}"
    rows = [{"path": whole.paths[number], "first": first, "stop": stop} for number, first, stop in gaps]
    return {"text": text, "shards": gone, "rows": rows}
