"""Work in pieces that anyone can count: a worker takes a piece and gives bytes, the driver adds them up.

    request = plan_files("p/*.parquet", ["log_loss"], by="country")     text: send it anywhere
    results = [count_piece(request, piece) for piece in pieces(request)]
    evaluation = gather(request, results)                               an Evaluation, of the same bits as evaluate_files

Workers must see the files under the same paths, and have the same version of fastloss. Results come in any order; a piece may be counted
as often as one likes (a worker was lost), but given to gather once.
"""

import inspect
import json
import time
from functools import lru_cache

from fastloss.engine.portable import reading as reading_bytes
from fastloss.engine.portable import sealed, unsealed
from fastloss.evaluation.coverage import Twice, text_of
from fastloss.evaluation.errors import DataError, RequestError
from fastloss.evaluation.merging import SHOWN
from fastloss.evaluation.part import Part, count
from fastloss.evaluation.plan import Reading
from fastloss.evaluation.run import CHUNK_ROWS, evaluate_files, finished
from fastloss.evaluation.shards import cut
from fastloss.evaluation.work import Work, account_for, difference, digest_of, identity, listed, parts_of, plain, refuse_standard_input

MAGIC, WHAT = b"fastloss-piece-1 ", "piece of a fastloss evaluation"
ROWS = 2**23
# arguments that are not of the questions
HOW = ("paths", "storage_options", "losses", "n_threads", "progress", "chunk_rows", "format", "state", "save_every", "shard", "engine")


def plan_files(paths, losses, **asked):
    """The request of an evaluation, as text (JSON): the questions and the plan. Arguments as evaluate_files has them, but those of how it
    runs. Errors as there, where they are found without reading rows."""
    defaults = {name: one.default for name, one in inspect.signature(evaluate_files).parameters.items() if name not in HOW}
    if unknown := asked.keys() - defaults.keys():
        raise TypeError(f"plan_files takes no argument {min(unknown)!r}")
    refuse_standard_input(paths)
    return request_of(Work(paths, {"losses": losses if isinstance(losses, list | tuple) else [losses]} | defaults | asked))


def request_of(work):
    return json.dumps(work.document() | {"paths": plain("paths", listed(work.paths))})


def pieces(request, rows=ROWS):
    """[Piece] of a request, in order, of at most ``rows`` rows each; text, which does not tell its rows, is not cut, nor is any file where
    broken ones are left out (keep_going)."""
    document = json.loads(request)
    return cut(document["plan"]["files"], rows, whole=document["question"]["keep_going"])


@lru_cache(maxsize=2)
def opened(request):
    """The Work of a request, its headers read once in each process; RequestError if it has become another."""
    document = json.loads(request)
    asked = {name: value for name, value in document["question"].items() if name not in ("fastloss", "bits")}
    work = Work(document.pop("paths"), asked)
    if (what := difference(document, work.document())) is not None:
        raise RequestError(f"the work is not what was planned: {what}")
    return work, document, digest_of(document)


def count_piece(request, piece, *, n_threads=None, chunk_rows=CHUNK_ROWS):
    """The rows of a piece, counted: bytes for gather. Opens the files' headers once in each process. RequestError if the files are not
    those that were planned; else errors as evaluate_files has them."""
    work, document, digest = opened(request)
    source, wants = work.parts[piece.file]
    for file, part in zip(document["plan"]["files"][piece.file]["files"], parts_of(source), strict=True):
        if identity(part, wants) != {name: value for name, value in file.items() if name != "path"}:
            raise RequestError(f"{file['path']} was changed since the work was planned")
    reading = Reading(keep_going=work.asked["keep_going"])  # workers may be threads of one process
    part = count(work, reading, Part(account_for(work.asked)), [piece], n_threads=n_threads, chunk_rows=chunk_rows)
    return sealed(MAGIC, {"work": digest, **part.fields()})


def gather(request, results, progress=None, parts=()):
    """The Evaluation of all pieces, given their bytes in any order. RequestError, naming files and rows, if a piece is missing, comes twice
    or is of other work; DataError if bytes are damaged. progress: as in evaluate_files; parts: those of a Work, for better messages."""
    started, document = time.perf_counter(), json.loads(request)
    plan, digest = document["plan"], digest_of({name: document[name] for name in ("question", "plan")})
    files, paths = [entry["rows"] for entry in plan["files"]], [entry["files"][0]["path"] for entry in plan["files"]]
    part = Part(account_for(document["question"]))
    for result in results:
        try:
            fields = unsealed(MAGIC, result, WHAT)
            with reading_bytes(WHAT):
                other = fields["work"] != digest
                found = None if other else part.another().add_fields(fields, files)
        except ValueError as error:
            raise DataError(str(error)) from error
        if other:
            raise RequestError("a piece is of other work: of other questions, or of files that were others")
        try:
            part.merge(found)
        except Twice as error:
            raise RequestError(f"{text_of(paths[error.number], error.first, error.stop)} is counted twice") from error
        if progress is not None:
            progress(part.covered.total, None if None in files else sum(files))
    if missing := part.covered.missing(files):
        texts = [text_of(paths[number], first, stop) for number, first, stop in missing]
        raise RequestError(f"not all is counted: {', '.join(texts[:SHOWN])}{', ...' * (len(texts) > SHOWN)} is missing")
    return finished(part, document["question"], plan, started, parts)
