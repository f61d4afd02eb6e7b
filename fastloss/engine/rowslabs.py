"""Passes over rows for the backends in Python: slabs of rows, of any layout, become tiles and go through

    load -> check -> rows (compiler/rows_python.py) -> sum -> store

as kernels/rows.pxi has it. Tiles are [tiles][classes][lanes]: as many rows side by side as the backend takes at a time. A slab is all
that is ever converted, so no array of N x C elements is made.
"""

import numpy as np

from fastloss.compiler.rowprogram import OUTPUT_SETS
from fastloss.engine.dtypes import BFLOAT16
from fastloss.engine.slabs import Bound, cast, load, violations
from fastloss.engine.slabthreads import Slabs

SCORES = 1 << 16  # of a slab: what fits in cache with all that is made of it
SETS = tuple(OUTPUT_SETS)
WEIGHT = 2  # the argument in an error; 0: target, 1: score


def constants_of(definition, parameters, class_weight):
    """What a kernel knows beforehand, as pairs: parameters that are True or False, all that have a usual value if they have it, rare ones
    that do in any case, and that there are no class weights."""
    given = [(name, parameter, value) for (name, parameter), value in zip(definition.parameters.items(), parameters, strict=True)]
    usual = all(value == parameter.usual for _, parameter, value in given if parameter.usual is not None)
    kept = {name for name, parameter, value in given if parameter.switch or parameter.rare and value == parameter.usual}
    known = [(name, float(value)) for name, parameter, value in given if name in kept or (usual and parameter.usual is not None)]
    return (*known, *((("c", 1.0), ("c_label", 1.0)) if class_weight is None else ()))


def bind(definition, dtype, parameters, class_weight, targets, scores, ignore):
    """A loss with its parameters, class weights and checks, as backends' bind_rows has them."""
    constants = constants_of(definition, parameters, class_weight)
    parameters = np.array(parameters, dtype)
    return Bound(definition=definition, dtype=dtype, parameters=parameters, constants=constants, class_weight=class_weight, targets=targets,
                 scores=scores, ignore=ignore)  # fmt: skip


class RowJob(Slabs):
    """One call of run_rows, whose arguments and results are those of kernels/rowcalls.pxi.

    lanes                   rows in a tile
    kernel(bound, outputs)  (the function ``rows`` of a loss, how many numbers of a class it keeps)
    sums                    makes what a thread adds up of one loss: add(terms, weights or None, start), found()"""

    def __init__(self, bounds, n, classes, z, y, w, loss, outputs, output_set, summed, skip_nan, scale, threads, by_label, *, lanes, kernel,
                 sums):  # fmt: skip
        tiles = max(1, SCORES // (classes * lanes))
        share = -(-n // (2 * threads * lanes))
        super().__init__(n, lanes * max(1, min(tiles, share)))
        self.bounds, self.classes, self.z, self.w, self.loss, self.outputs = bounds, classes, z, w, loss, outputs
        self.summed, self.skip_nan, self.scale, self.lanes, self.sums, self.by_label = summed, skip_nan, scale, lanes, sums, by_label
        self.dtype = np.dtype(bounds[0].dtype)
        labels = len(y) == 3 and y[0].ndim == 1
        self.labels, self.y = (y, None) if labels else (None, y if output_set >= 0 else None)
        self.kernels = [kernel(bound, SETS[output_set]) for bound in bounds] if output_set >= 0 else []
        self.parts = OUTPUT_SETS[SETS[output_set]] if output_set >= 0 else ()

    def worker(self):
        return RowWorker(self)

    def results(self):
        """(error, tallies)"""
        if self.error:
            row, which, argument, column = self.error
            return (row, column, max(which, 0), argument), []
        found = []
        for k, bound in enumerate(self.bounds if self.summed else ()):
            *counts, first, weights, ignored = zip(*(worker.found(k) for worker in self.workers), strict=True)
            first = min((row for row in first if row >= 0), default=-1)
            weighted = self.w is not None or (bound.class_weight is not None and self.labels is not None)
            labels = self.found_labels(k, weighted) if self.by_label else None
            found.append((*map(sum, counts), first, sum(weights) if weighted else None, sum(ignored), labels))
        return None, found

    def found_labels(self, k, weighted):
        """{label: (total, n_nan, n_positive, n_negative, weights or None, rows)} of the labels seen, as kernels/rowlabels.pxi has it."""
        merged = {}
        for worker in self.workers:
            for label, (terms, weights, rows) in worker.labels[k].items():
                total, _, *counts, _ = terms.found()
                found = (total, *counts, weights.found()[0] if weighted else None, rows)
                before = merged.get(label)
                merged[label] = found if before is None else tuple(None if a is None else a + b for a, b in zip(before, found, strict=True))
        return merged


class RowWorker:
    """What one thread adds up, and its tiles."""

    def __init__(self, job):
        self.job, self.ignored, self.labels = job, [0] * len(job.bounds), [{} for _ in job.bounds]
        self.sums = [(job.sums(), job.sums()) for _ in job.bounds]  # of the losses, and of the rows' weights
        rows = min(job.slab, job.n)
        self.tiles = tiles = -(-rows // job.lanes)
        wide, line = (tiles, job.classes, job.lanes), (tiles, 1, job.lanes)
        nothing = np.empty((0, 0, job.lanes), job.dtype)
        self.z, self.y = (nothing if operand is None or not job.kernels else np.empty(wide, job.dtype) for operand in (job.z, job.y))
        self.label, self.factor, self.loss = np.zeros(line, np.int32), np.full(line, job.scale, job.dtype), np.zeros(line, job.dtype)
        self.made = [np.empty(wide, job.dtype) if part in job.parts else nothing for part in ("gradient", "hessian")]
        self.kept = np.empty((max((count for _, count in job.kernels), default=0), job.classes, job.lanes), job.dtype)
        self.no_weights = np.empty(0, job.dtype)

    def found(self, k):
        total, weights = self.sums[k]
        return *total.found(), weights.found()[0], self.ignored[k]

    def slab(self, start, stop):
        """Take rows start <= i < stop through everything. Returns None, or the first error: (row, loss, argument, class)."""
        job, n = self.job, stop - start
        w = None if job.w is None else load(job.w, start, stop, np.dtype("float64"))
        labels = None if job.labels is None else load_labels(job.labels, start, stop)
        if job.kernels:
            for operand, tiles in ((job.z, self.z), (job.y, self.y)):
                if operand is not None:
                    load_tiles(operand, start, stop, tiles)
        left_out = [labels == bound.ignore if labels is not None and bound.ignore is not None else None for bound in job.bounds]
        errors = list(self.errors(n, w, labels, left_out))
        if errors:
            row, *rest = min(errors)
            return start + row, *rest
        if w is not None:
            self.factor.reshape(-1)[:n] = w * job.scale
        for k, bound in enumerate(job.bounds):
            self.take(k, bound, start, n, w, labels, left_out[k])
        return None

    def errors(self, n, w, labels, left_out):
        """What is not allowed, the first of each kind: (row of the slab, loss, argument, class)."""
        job = self.job
        if w is not None:
            yield from ((int(i), -1, WEIGHT, 0) for i in np.flatnonzero(~((w >= 0) & np.isfinite(w)))[:1])
        for k, bound in enumerate(job.bounds):
            if labels is not None:
                bad = (labels < 0) | (labels >= job.classes)
                bad = bad if left_out[k] is None else bad & ~left_out[k]
                yield from ((int(i), k, 0, -1) for i in np.flatnonzero(bad)[:1])
            for argument, (check, tiles) in enumerate(((bound.targets, self.y), (bound.scores, self.z))):
                tiles = tiles[: -(-n // job.lanes)]
                if check[0] and violations(check, tiles).size:
                    row, column = divmod(int(violations(check, tiles.transpose(0, 2, 1))[0]), job.classes)
                    yield row, k, argument, column

    def take(self, k, bound, start, n, w, labels, left_out):
        """One loss over the rows of a slab that have been loaded and checked."""
        job, tiles = self.job, -(-n // self.job.lanes)
        weight = w
        if labels is not None:
            safe = labels if left_out is None else np.where(left_out, 0, labels)
            self.label.reshape(-1)[:n] = safe
            if bound.class_weight is not None:
                weight = bound.class_weight[safe].astype(np.float64) * (1.0 if w is None else w)
        loss = self.loss.reshape(-1)[:n]
        if job.kernels:
            rows, _ = job.kernels[k]
            c = self.no_weights if bound.class_weight is None else bound.class_weight
            rows(tiles, job.classes, self.z, self.y, c, self.label, self.factor, bound.parameters, self.loss, *self.made, self.kept)
        if left_out is not None:
            loss[left_out] = 0
            weight = None if weight is None else np.where(left_out, 0.0, weight)
            self.ignored[k] += int(left_out.sum())
        terms = loss.astype(np.float64) if w is None else loss.astype(np.float64) * w
        if left_out is not None:
            terms[left_out] = 0
        if job.summed:
            total, weights = self.sums[k]
            total.add(terms, weight if job.skip_nan else None, start)
            if weight is not None:
                weights.add(weight, None, start)
            if job.by_label:
                self.add_labels(self.labels[k], safe if left_out is None else safe[~left_out], terms, weight, left_out)
        if job.loss is not None:
            job.loss[0][start : start + n] = cast(terms.astype(job.dtype), job.loss[0].dtype)
        for output, tile in zip(job.outputs, self.made, strict=True):
            if output is not None:
                if left_out is not None:
                    at = np.flatnonzero(left_out)
                    tile[at // job.lanes, :, at % job.lanes] = 0
                store_tiles(tile, output, start, start + n)

    def add_labels(self, into, labels, terms, weight, left_out):
        """The rows of a slab that are not left out, each to the sums of its label."""
        if left_out is not None:
            terms, weight = terms[~left_out], None if weight is None else weight[~left_out]
        for label in np.unique(labels).tolist():
            of = labels == label
            total, weights, rows = into.get(label) or (self.job.sums(), self.job.sums(), 0)
            total.add(terms[of], None, 0)
            if weight is not None:
                own = weight[of]
                weights.add(own[~np.isnan(terms[of])] if self.job.skip_nan else own, None, 0)
            into[label] = total, weights, rows + int(of.sum())


def load_labels(operand, start, stop):
    """Labels as int64; what is beyond becomes -1, which no class has."""
    part = operand[0][start:stop]
    labels = part.astype(np.int64)
    return np.where(part > np.iinfo(np.int64).max, -1, labels) if part.dtype.kind == "u" and part.dtype.itemsize == 8 else labels


def paired(tiles, rows):
    """Views of tiles and of rows (or of a number per row, where tiles are of one class) that correspond: of whole tiles as
    [tiles][lanes][classes], and of the rows that are left over as [rows][classes], if there are any."""
    lanes, n = tiles.shape[2], len(rows)
    full, some = divmod(n, lanes)
    yield tiles[:full].transpose(0, 2, 1), rows[: full * lanes].reshape(full, lanes, tiles.shape[1])
    if some:
        yield tiles[full, :, :some].T, rows[full * lanes :].reshape(some, tiles.shape[1])


def load_tiles(operand, start, stop, tiles):
    """Rows start <= i < stop of a matrix operand, in the dtype of the tiles. Lanes that are left over repeat the last row."""
    if len(operand) == 1:
        for j, column in enumerate(operand[0]):
            for to, part in paired(tiles[:, j : j + 1], load(column, start, stop, tiles.dtype)):
                to[...] = part
    else:
        array, code, swapped = operand
        rows = array[start:stop]
        if code == BFLOAT16:  # which NumPy does not know
            rows = load((rows, code, swapped), 0, len(rows), np.dtype("float32"))
        for to, part in paired(tiles, rows):
            to[...] = part
    full, some = divmod(stop - start, tiles.shape[2])
    if some:
        tiles[full, :, some:] = tiles[full, :, some - 1 : some]


def store_tiles(tiles, operand, start, stop):
    """Write rows to start <= i < stop of a matrix operand."""
    for part, to in paired(tiles, operand[0][start:stop]):
        to[...] = cast(part, to.dtype)
