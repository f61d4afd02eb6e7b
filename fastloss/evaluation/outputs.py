"""Per-sample losses, and gradients, written as they are computed: to Parquet or .npy, complete under its name or not there at all."""

import os
import queue
import threading
from pathlib import Path

import numpy as np

import fastloss as fl
from fastloss.evaluation.errors import SourceError

WRITERS = {}  # by suffix
AHEAD = 4  # chunks that wait for the writer of Parquet, at most
ENDED, DROPPED = object(), object()


def writer(suffix):
    def register(cls):
        WRITERS[suffix] = cls
        return cls

    return register


class Output:
    """Columns of a run: file and row (Parquet), loss_NAME and gradient_NAME of every loss, a number per sample; a gradient of a loss of
    rows is one of rows. What a sample's weight is does not show in them. Rows without a label, and skipped ones, are NaN.

    path       of the file to be: .parquet or .npy
    state      whose losses these are
    gradients  are they wanted, too?
    """

    def __init__(self, path, state, gradients):
        self.path, self.names, self.gradients = Path(path), list(state.names), gradients
        self.losses = list(map(single, state.losses))
        make = WRITERS.get(self.path.suffix.lower())
        if make is None:
            raise SourceError(f"`output` must be a file of type {' or '.join(WRITERS)}, got {os.fspath(path)!r}")
        for name, given, loss in zip(self.names, state.losses, self.losses, strict=True):
            if given.definition.terms:
                raise SourceError(f"`output` is of losses of single samples; {name} is computed from sums over all of them")
            if gradients and not hasattr(loss.definition.body, "gradient"):
                raise SourceError(f"`gradients`: {name} has none")
        if self.path.is_dir():
            raise SourceError(f"`output`: {self.path} is a directory")
        self.part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        try:
            self.writer = make(self.part)
        except OSError as error:
            raise SourceError(f"`output`: {self.part.parent} cannot be written to: {error.strerror or error}") from error

    def add(self, path, first, arguments, missing, n, n_threads):
        """The n rows of a chunk, from row ``first`` of a file; arguments and missing as an update of an Analysis takes them."""
        kept = None if missing is None else missing["kept"]
        columns = {"file": path, "row": np.arange(first, first + n)}
        y, p = arguments["y_true"], arguments["y_pred"]
        for name, loss in zip(self.names, self.losses, strict=True):
            found = loss.loss_gradient(y, p, n_threads=n_threads) if self.gradients else (loss.loss(y, p, n_threads=n_threads),)
            for what, values in zip(("loss", "gradient"), found, strict=False):
                columns[f"{what}_{name}"] = values if kept is None else spread_out(values, kept, n)
        self.writer.add(columns)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.writer.drop()
            self.part.unlink(missing_ok=True)
            return
        try:
            self.writer.close()
            os.replace(self.part, self.path)
        except BaseException:
            self.part.unlink(missing_ok=True)
            raise


def single(loss):
    """The loss of single samples; of a root or exponential of a mean, of what it is the mean of."""
    if loss.definition.outer is None:
        return loss
    more = {name: getattr(loss, name) for name in ("class_weight", "ignore_index") if getattr(loss, name, None) is not None}
    return type(fl.get(loss.definition.base))(**loss.parameters, **more)


def spread_out(values, kept, n):
    whole = np.full((n, *values.shape[1:]), np.nan, values.dtype)
    whole[kept] = values
    return whole


@writer(".parquet")
class ToParquet:
    """polars' streaming writer, fed by this thread; it runs in one of its own."""

    def __init__(self, path):
        import polars as pl
        from polars.io.plugins import register_io_source

        path.touch()
        self.frames, self.error, self.thread = queue.Queue(AHEAD), None, None
        self.pl, self.source, self.path = pl, register_io_source, path

    def add(self, columns):
        pl = self.pl
        file = pl.Series("file", [columns["file"]], pl.String).new_from_index(0, len(columns["row"]))
        frame = pl.DataFrame([file, *(pl.Series(name, values) for name, values in columns.items() if name != "file")])
        if self.thread is None:
            self.schema = frame.schema
            self.thread = threading.Thread(target=self._write, daemon=True)
            self.thread.start()
        self._put(frame.cast(dict(self.schema)))

    def _put(self, item):
        while self.error is None:
            try:
                return self.frames.put(item, timeout=0.2)
            except queue.Full:
                continue
        raise SourceError(f"`output` could not be written: {self.error}") from self.error

    def _frames(self, with_columns, predicate, n_rows, batch_size):
        while (frame := self.frames.get()) is not ENDED:
            if frame is DROPPED:
                raise InterruptedError("nothing is to be written")
            yield frame if with_columns is None else frame.select(with_columns)

    def _write(self):
        try:
            self.source(self._frames, schema=self.schema).sink_parquet(self.path)
        except BaseException as error:  # noqa: BLE001 - told in the other thread
            self.error = error

    def close(self):
        if self.thread is not None:
            self._put(ENDED)
            self.thread.join()
            if self.error is not None:
                raise SourceError(f"`output` could not be written: {self.error}") from self.error

    def drop(self):
        if self.thread is not None and self.error is None:
            while self.thread.is_alive():
                try:
                    self.frames.put(DROPPED, timeout=0.2)
                    break
                except queue.Full:
                    self.frames.get()
            self.thread.join()


@writer(".npy")
class ToNpy:
    """One column: an array of it; several: a structured array with a field each. Its header is written when the rows are known."""

    def __init__(self, path):
        self.file, self.dtype, self.rows = open(path, "wb"), None, 0  # noqa: SIM115 - closed by close or drop

    def add(self, columns):
        chosen = {name: values for name, values in columns.items() if name not in ("file", "row")}
        fields = [(name, values.dtype, values.shape[1:]) for name, values in chosen.items()]
        if self.dtype is None:
            self.dtype = np.dtype(fields) if len(fields) > 1 else np.dtype(fields[0][1:])
            self._header()
        if self.dtype.names is None:
            (values,) = chosen.values()
            self.file.write(np.ascontiguousarray(values, self.dtype.base).data)
        else:
            records = np.empty(len(columns["row"]), self.dtype)
            for name, values in chosen.items():
                records[name] = values
            self.file.write(records.view(np.uint8).data if records.size else b"")  # names with a colon are in no buffer
        self.rows += len(columns["row"])

    def _header(self):
        plain = self.dtype.names is None
        shape = (self.rows, *(self.dtype.shape if plain else ()))
        described = np.lib.format.dtype_to_descr(self.dtype.base if plain else self.dtype)
        # numpy leaves room in the header for a larger first dimension
        np.lib.format.write_array_header_2_0(self.file, {"descr": described, "fortran_order": False, "shape": shape})

    def close(self):
        if self.dtype is not None:
            self.file.seek(0)
            self._header()
        self.file.close()

    def drop(self):
        self.file.close()
