"""Pieces that Spark's executors count: a partition, and so a task, for each, by mapInArrow; the driver collects their bytes."""

import os
import pickle
import sys
from contextlib import contextmanager

from fastloss.evaluation.engines import attempt
from fastloss.evaluation.errors import MissingLibraryError

try:
    import pyarrow
    from pyspark.sql import SparkSession
except ImportError as error:
    raise MissingLibraryError("pyspark and pyarrow", 'engine="spark"', "spark") from error

SLOTS = 64  # where Spark does not tell how many cores there are (Spark Connect)


@contextmanager
def opened(engine):
    """The SparkSession of an engine; stopped, if it was made here."""
    if not isinstance(engine, str):
        yield engine
    elif (session := SparkSession.getActiveSession()) is not None:
        yield session
    else:
        python = os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # Spark's default is whatever python3 is on the PATH
        try:
            session = SparkSession.builder.appName("fastloss").getOrCreate()
        finally:
            if python is sys.executable:
                del os.environ["PYSPARK_PYTHON"]
        try:
            yield session
        finally:
            session.stop()


@contextmanager
def workers(engine, n_threads):
    """(how many pieces they count at a time, a function: request, pieces, chunk_rows -> their results in any order)."""
    with opened(engine) as session:
        threads = n_threads or int(session.conf.get("spark.task.cpus", "1"))
        try:
            slots = session.sparkContext.defaultParallelism
        except (AttributeError, NotImplementedError):
            slots = SLOTS
        yield slots, lambda request, pieces, chunk_rows: results(session, request, pieces, {"n_threads": threads, "chunk_rows": chunk_rows})


def results(session, request, pieces, how):
    """Yield the bytes of pieces, when all are counted; raise the error of the first that has one. The request goes out in the function,
    of which Spark makes a broadcast if it is long."""

    def counted(batches):
        os.environ.setdefault("POLARS_MAX_THREADS", str(how["n_threads"]))  # or each task would read with as many threads as CPUs
        for batch in batches:
            for number in batch.column("id").to_pylist():
                found, error = attempt(request, pieces[number], **how)
                row = {"id": number, "found": found, "error": None if error is None else pickle.dumps(error)}
                yield pyarrow.RecordBatch.from_pylist([row], schema=schema)

    schema = pyarrow.schema([("id", pyarrow.int64()), ("found", pyarrow.binary()), ("error", pyarrow.binary())])
    numbers = session.range(0, len(pieces), 1, max(1, len(pieces)))
    rows = numbers.mapInArrow(counted, "id long, found binary, error binary").collect()
    errors = {row.id: row.error for row in rows if row.error is not None}
    if errors:
        raise pickle.loads(errors[min(errors)])
    for row in rows:
        yield bytes(row.found)
