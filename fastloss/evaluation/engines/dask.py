"""Pieces that Dask's workers count: as many at a time as they have threads, each with one thread of ours."""

import logging
import time
from contextlib import contextmanager, suppress
from itertools import islice
from uuid import uuid4

import fastloss as fl
from fastloss.evaluation.engines import attempt, named
from fastloss.evaluation.errors import MissingLibraryError, RequestError

try:
    import dask
    from distributed import Client, KilledWorker, LocalCluster, WorkerPlugin, as_completed, get_worker
    from distributed.deploy.utils import nprocesses_nthreads
except ImportError as error:
    raise MissingLibraryError("dask and distributed", 'engine="dask"', "dask") from error

AHEAD = 64  # pieces that the scheduler knows of, at least, so that no worker waits; and it is not told of all of a hundred thousand
RETRIES = 2  # of what went wrong on a worker, but not with the data; workers that are lost are counted by Dask (allowed-failures)
# No dashboard, whose port may be taken; no limit of memory: chunks are bounded, and pages of files that are mapped would count; no word of
# workers who lose their scheduler as the cluster ends
LOCAL = {
    "dashboard_address": None, "scheduler_kwargs": {"dashboard_address": "127.0.0.1:0"}, "memory_limit": 0,
    "silence_logs": logging.CRITICAL,
}  # fmt: skip


class Request(WorkerPlugin):
    """Brings a request, which may be long, once to every worker that is there, and to those who come or come back."""

    def __init__(self, name, text):
        self.name, self.text = name, text


def count_here(name, piece, how):
    return attempt(get_worker().plugins[name].text, piece, **how)


@contextmanager
def workers(engine, n_threads):
    """(how many pieces they count at a time, a function: request, pieces, chunk_rows -> their results in any order)."""
    with opened(engine, n_threads) as client:
        threads = 1 if isinstance(engine, str) and engine == "dask" else n_threads or 1
        slots = max(1, sum(client.nthreads().values()))
        yield (
            slots,
            lambda request, pieces, chunk_rows: results(client, slots, request, pieces, {"n_threads": threads, "chunk_rows": chunk_rows}),
        )


@contextmanager
def opened(engine, n_threads):
    """The Client of an engine; closed, if it was made here."""
    if isinstance(engine, Client):
        if engine.asynchronous:
            raise RequestError("`engine`: this client is asynchronous; pass one that is not, or the scheduler's address")
        yield engine
    elif isinstance(engine, str) and engine == "dask":
        processes, threads = nprocesses_nthreads(n_threads or fl.get_num_threads())
        alone = {"POLARS_MAX_THREADS": str(threads)}  # or each worker would read with as many threads as there are CPUs
        with (
            dask.config.set({"distributed.nanny.pre-spawn-environ": dask.config.get("distributed.nanny.pre-spawn-environ") | alone}),
            LocalCluster(n_workers=processes, threads_per_worker=threads, **LOCAL) as cluster,
            Client(cluster) as client,
        ):
            yield client
    else:
        try:
            client = Client(engine)
        except (OSError, ValueError) as error:
            raise RequestError(f"no scheduler of Dask answers at {engine}: {error}") from error
        with client:
            yield client


def results(client, slots, request, pieces, how):
    """Yield the bytes of pieces as they are counted; raise the error of the first that has one."""
    name = f"fastloss-{uuid4().hex}"
    try:
        register(client, Request(name, request))
    except Exception as error:
        if "ModuleNotFoundError" in str(error):  # Dask brings it as text
            remedy = "install this version where they run, or give it to them by PYTHONPATH"
            raise RequestError(f"Dask's workers cannot import fastloss; {remedy}: {error}") from error
        raise
    numbers, waiting, errors = {}, iter(enumerate(pieces)), {}
    done = as_completed()

    def send(count):
        for number, piece in islice(waiting, 0 if errors else count):
            future = client.submit(count_here, name, piece, how, key=f"{name}-{number}", retries=RETRIES)
            numbers[future] = number
            done.add(future)

    try:
        send(max(AHEAD, 2 * slots))
        for future in done:
            number = numbers.pop(future)
            if errors and number > min(errors):
                continue
            try:
                found, error = future.result()
            except KilledWorker as error:
                where = named(request, pieces[number])
                raise OSError(f"all workers that counted {where} were lost, one after the other; is there too little memory?") from error
            send(1)
            if error is None:
                yield found
                continue
            errors[number] = error  # of those before it, which were sent before it, another may have one, too
            client.cancel([future for future, other in numbers.items() if other > number])
        if errors:
            raise errors[min(errors)]
    finally:
        with suppress(Exception):  # what went wrong is told, rather than that there is nobody to clean up after
            client.cancel(list(numbers))
            client.unregister_worker_plugin(name)


def register(client, plugin):
    """Dask asks all workers, and fails if one is lost just then: they are asked again."""
    for seconds in (0.1, 0.3, 1, 3):
        with suppress(OSError):
            return client.register_plugin(plugin)
        time.sleep(seconds)
    return client.register_plugin(plugin)
