"""The same plan on many machines: Dask's or Spark's workers count the pieces (pieces.py), here they are added up.

The laws of an engine: what is wrong with data or request comes back as the error that one machine raises, the first in the order of the
plan; what trying again may cure (a worker that is lost, a disk that does not answer) the engine tries again; a piece is added once.
"""

import json
import time
from contextlib import closing
from dataclasses import replace

from fastloss.evaluation.coverage import text_of
from fastloss.evaluation.errors import RequestError
from fastloss.evaluation.pieces import count_piece, gather, pieces, request_of
from fastloss.evaluation.source import STANDARD_INPUT
from fastloss.evaluation.work import Work, listed

SHARE = 4  # pieces per thread of the workers, at least, so that they end at about the same time
# Rows of a piece, at least, and its bytes, at most, where the two do not contradict. A piece costs Dask's scheduler and client some 7 ms:
# 1 GB in 32 pieces took 1.91 s on two workers, in 16 of them 1.78, in 8 1.59.
FEWEST, BYTES = 2**18, 2**28


def evaluate_on(engine, paths, asked, *, n_threads=None, chunk_rows, progress=None):
    """The Evaluation, by the workers of an engine. engine: as in evaluate_files; asked: as in Work."""
    started, kind = time.perf_counter(), kind_of(engine)
    if STANDARD_INPUT in map(str, listed(paths)):
        raise RequestError("standard input cannot be read by the workers of an engine; save it to a file first")
    if kind == "dask":
        from fastloss.evaluation.engines import dask as library
    else:
        from fastloss.evaluation.engines import spark as library
    work = Work(paths, asked)
    work.reading.refuse_none(work.parts)
    request = request_of(work)
    with library.workers(engine, n_threads) as (slots, results):
        todo = pieces(request, rows_each(work.document()["plan"]["files"], slots))
        with closing(results(request, todo, chunk_rows)) as found:
            evaluation = gather(request, found, progress=progress, parts=work.parts)
    return replace(evaluation, seconds=time.perf_counter() - started)


def kind_of(engine):
    """ "dask" or "spark"; RequestError if it is neither."""
    if isinstance(engine, str) and (engine in ("dask", "spark") or ":" in engine):
        return engine if engine in ("dask", "spark") else "dask"
    roots = {cls.__module__.partition(".")[0] for cls in type(engine).__mro__}
    for library, kind in (("distributed", "dask"), ("pyspark", "spark")):
        if library in roots:
            return kind
    what = "'dask', a distributed.Client or the address of its scheduler (tcp://host:port), 'spark' or a SparkSession"
    raise RequestError(f"`engine` must be {what}, got {engine!r}")


def rows_each(files, slots):
    """How many rows a piece has at most, for workers who count ``slots`` pieces at a time."""
    known = [entry for entry in files if entry["rows"]]
    rows, size = sum(entry["rows"] for entry in known), sum(file["bytes"] for entry in known for file in entry["files"])
    return max(FEWEST, min(-(-rows // (SHARE * slots)), rows * BYTES // max(size, 1)))


def attempt(request, piece, **how):
    """(bytes, None); or (None, error) where data or request is wrong, or a library is missing, which trying again does not change."""
    try:
        return count_piece(request, piece, **how), None
    except (ValueError, ImportError) as error:
        return None, error


def named(request, piece):
    """A piece, in messages."""
    return text_of(json.loads(request)["plan"]["files"][piece.file]["files"][0]["path"], piece.first, piece.stop)
