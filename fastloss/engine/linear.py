"""Softmax cross-entropy of the logits X @ W.T + b, which are never all there: tiles of rows, through BLAS and the rowwise kernel in turn.

A tile's logits become its losses, and in the same memory its gradient, from which the products with W and X take it up while it is warm.
The classes of a tile go through BLAS in chunks: a chunk's logits take their bias, and its part of W's gradient is added up, in cache.
"""

from typing import NamedTuple

import numpy as np

from fastloss.engine import inputs, rows, threads
from fastloss.engine.configured import REDUCTIONS
from fastloss.engine.dtypes import is_float
from fastloss.engine.errors import InputError
from fastloss.engine.memory import empty
from fastloss.engine.specs import class_of
from fastloss.losses import ROW_REGISTRY

LEAST = 32 << 20  # bytes of temporary memory, or a quarter of W's, whichever is more: by then W's gradient is added up seldom enough
CHUNK, SHORT = 2 << 20, 256  # bytes of a chunk of W, or classes, whichever is more: fewer than that leave BLAS too little to do
TALL = 8192  # rows of a tile, at most: more would leave the cache and gain nothing
INPUTS = ("X", "W", "b")


class CostGradients(NamedTuple):
    """A cost and its gradients with respect to X (N, d), W (C, d) and b (C,); None for those not asked for."""

    cost: float
    dX: np.ndarray | None
    dW: np.ndarray | None
    db: np.ndarray | None


class LinearCrossEntropy:
    """Softmax cross-entropy of a linear layer's output, with the options of SoftmaxCrossEntropy. Immutable, hashable, picklable.

    X              (N, d) rows of features: hidden states, say
    W              (C, d) weights, C >= 2 classes, as torch.nn.Linear keeps them; the logits are X @ W.T + b
    y_true         (N,) labels, integers from 0 to C - 1
    b              (C,) biases, or None
    sample_weight  (N,) weights, or one number, or None

    memory   most bytes of temporary arrays: N x C logits are never held, but tiles of as many rows r as fit, at least one row. Default:
             32 MiB, or a quarter of W (in the dtype computed in) if that is more. In numbers of that dtype it is r C for logits, r d if X
             must be converted, r d if its gradient is wanted, k d if W must be converted, k d if its gradient is wanted (k classes at a
             time: 2 MiB of them, at least 256, an eighth of memory at most), and 4 C if there is b or its gradient. Not counted: what
             the kernels take, of the size of some rows for each thread, and BLAS
    dtypes   float64 if X or W is float64 (or of integers), else float32: float16, bfloat16 and whatever BLAS cannot take as it is (other
             strides or byte orders) are converted tile by tile, never whole. b is rounded to that; gradients and buffers for them
             are of that dtype, not of half precision, in which sums over N rows would drown
    cost     a float: the correctly rounded mean of the rows' losses, as SoftmaxCrossEntropy has them of the same logits. The logits'
             own bits are NumPy's BLAS's: they may change with its version, its threads and the tile (memory=), and cost and gradients then
             change with them, by roundings
    threads  n_threads is for the losses; BLAS has its own (OPENBLAS_NUM_THREADS, threadpoolctl). The result does not depend on n_threads
    errors   TypeError for dtypes, ValueError for shapes, InputError for labels and weights, before anything is computed. Ctrl-C is
             answered between chunks; the contents of buffers are then undefined
    """

    __slots__ = ("softmax",)

    def __init__(self, *args, **options):
        object.__setattr__(self, "softmax", class_of(ROW_REGISTRY["softmax_cross_entropy"])(*args, **options))

    def __setattr__(self, name, value):
        raise AttributeError(f"a configured loss does not change; make another: LinearCrossEntropy({name}=...)")

    def __delattr__(self, name):
        self.__setattr__(name, None)

    def __eq__(self, other):
        return isinstance(other, LinearCrossEntropy) and self.softmax == other.softmax

    def __hash__(self):
        return hash((LinearCrossEntropy, self.softmax))

    def __reduce__(self):
        return _made, (self.softmax,)

    def __repr__(self):
        return repr(self.softmax).replace(type(self.softmax).__name__, "LinearCrossEntropy", 1)

    def cost(self, X, W, y_true, b=None, sample_weight=None, *, reduction="mean", memory=None, n_threads=None):
        """The cost, a float: sum(w * loss) / sum(w) over the rows that are not ignored; with reduction="sum" the sum alone. w includes the
        label's class weight in the denominator."""
        layer = Layer(self.softmax, X, W, y_true, b, sample_weight, reduction)
        return self.softmax.finish(layer.run(memory, n_threads), reduction=reduction)

    def loss(self, X, W, y_true, b=None, sample_weight=None, *, loss_out=None, memory=None, n_threads=None):
        """The loss of every row (times its weight), shape (N,), in the dtype computed in; into loss_out if given."""
        layer = Layer(self.softmax, X, W, y_true, b, sample_weight, "sum")
        loss = layer.buffer("loss_out", loss_out, (layer.n,))
        layer.run(memory, n_threads, loss=loss)
        return loss

    def cost_gradient(
        self, X, W, y_true, b=None, sample_weight=None, *, wanted=None, dX_out=None, dW_out=None, db_out=None, reduction="mean",
        memory=None, n_threads=None,
    ):  # fmt: skip
        """CostGradients (cost, dX, dW, db): the cost and its gradients.

        wanted  which of "X", "W", "b"; default: all (b if there is one)
        dX_out, dW_out, db_out  C-contiguous buffers of the dtype computed in, shaped as X, W and b
        """
        buffers = dict(zip(INPUTS, (dX_out, dW_out, db_out), strict=True))
        wanted = _wanted(wanted, b is not None or db_out is not None)
        for name, out in buffers.items():
            if out is not None and name not in wanted:
                raise ValueError(f"`d{name}_out` is given, but `{name}` is not among the gradients wanted: {', '.join(wanted)}")
        layer = Layer(self.softmax, X, W, y_true, b, sample_weight, reduction, gradient=True)
        shapes = {"X": (layer.n, layer.d), "W": (layer.classes, layer.d), "b": (layer.classes,)}
        made = {name: layer.buffer(f"d{name}_out", buffers[name], shapes[name]) for name in wanted}
        tally = layer.run(memory, n_threads, **{f"d{name}": array for name, array in made.items()})
        return CostGradients(self.softmax.finish(tally, reduction=reduction), *(made.get(name) for name in INPUTS))


def linear_cross_entropy(
    X, W, y_true, b=None, sample_weight=None, *, temperature=1.0, softcap=None, label_smoothing=0.0, z_loss=0.0, class_weight=None,
    ignore_index=None, gradient=False, dX_out=None, dW_out=None, db_out=None, reduction="mean", memory=None, n_threads=None,
):  # fmt: skip
    """The cost of softmax cross-entropy of the logits X @ W.T + b, without ever holding them: a float.

    With gradient=True, or some of "X", "W", "b" (gradient="X", gradient=("X", "W")): CostGradients (cost, dX, dW, db), None for those not
    asked for; into dX_out, dW_out, db_out if given. The rest is as in LinearCrossEntropy:"""
    layer = LinearCrossEntropy(temperature, softcap, label_smoothing, z_loss, class_weight=class_weight, ignore_index=ignore_index)
    common = {"reduction": reduction, "memory": memory, "n_threads": n_threads}
    if gradient is False:
        for name, out in (("dX_out", dX_out), ("dW_out", dW_out), ("db_out", db_out)):
            if out is not None:
                raise ValueError(f"`{name}` is given, but no gradient is wanted: pass gradient=True")
        return layer.cost(X, W, y_true, b, sample_weight, **common)
    wanted = None if gradient is True else gradient
    return layer.cost_gradient(X, W, y_true, b, sample_weight, wanted=wanted, dX_out=dX_out, dW_out=dW_out, db_out=db_out, **common)


linear_cross_entropy.__doc__ = f"{linear_cross_entropy.__doc__}\n\n    {LinearCrossEntropy.__doc__}"


def _made(softmax):
    made = object.__new__(LinearCrossEntropy)
    object.__setattr__(made, "softmax", softmax)
    return made


def _wanted(given, biased):
    names = INPUTS[: 2 + biased] if given is None else (given,) if isinstance(given, str) else given
    try:
        names = tuple(names)
    except TypeError:
        names = (None,)
    if not names or any(name not in INPUTS for name in names):
        raise ValueError(f"the gradients wanted are some of 'X', 'W', 'b', got {given!r}")
    return names


class Layer:
    """The operands of one call, checked, and the pass over them."""

    def __init__(self, loss, X, W, y_true, b, sample_weight, reduction, gradient=False):
        if reduction not in REDUCTIONS:
            raise ValueError(f"`reduction` must be one of {', '.join(map(repr, REDUCTIONS))}, got {reduction!r}")
        self.loss, self.X, self.W = loss, inputs.as_array("X", X), inputs.as_array("W", W)
        for name, array, shape in (("X", self.X, "(N, d), rows of d features"), ("W", self.W, "(C, d), a row per class")):
            if array.ndim != 2 or not array.shape[1]:
                remedy = f"; pass {name}.reshape(-1, {array.shape[-1]})" if array.ndim > 2 else ""
                raise ValueError(f"`{name}` must have shape {shape}, got shape {array.shape}{remedy}")
        (self.n, self.d), (self.classes, features) = self.X.shape, self.W.shape
        if features != self.d:
            remedy = "; pass W.T" if self.classes == self.d else ""
            raise ValueError(f"`W` must have shape (C, {self.d}), as `X` has {self.d} features, got shape {self.W.shape}{remedy}")
        if self.classes < 2:
            raise ValueError(f"`W` must have 2 rows or more, one per class, got shape {self.W.shape}")
        if loss.class_weight is not None and len(loss.class_weight) != self.classes:
            raise ValueError(f"`class_weight` has {len(loss.class_weight)} weights, but `W` has {self.classes} classes")
        wide = any(not is_float(array.dtype) or array.dtype.itemsize == 8 for array in (self.X, self.W))
        self.dtype = np.dtype("float64" if wide else "float32")
        self.b = None if b is None else inputs.as_array("b", b)
        if b is not None and self.b.shape != (self.classes,):
            raise ValueError(f"`b` must have shape ({self.classes},), one per row of `W`, got shape {self.b.shape}")
        self.y = rows.labels_of(loss, y_true, (self.n,), self.classes, f"`X` has {self.n} rows")
        self.w = None if sample_weight is None else inputs.as_array("sample_weight", sample_weight)
        if self.w is not None and self.w.shape not in ((), (self.n,)):
            raise ValueError(f"`sample_weight` must have shape ({self.n},), one per row of `X`, or be a number; got shape {self.w.shape}")
        self.taken = [("X", self.X), ("W", self.W), ("b", self.b), ("y_true", self.y), ("sample_weight", self.w)]
        weights, self.scale = rows.RowTally(), 1.0
        if self.n:
            weights = rows.weigh([loss], [loss.bound(self.dtype.name)], self.y, self.w, (self.n,), self.classes)
        if reduction == "mean":
            loss.finish(weights)  # is there anything to divide by?
            self.scale = rows.scale_of(weights) if gradient else 1.0
        self.b = None if b is None else self.rounded(self.b)

    def rounded(self, b):
        """The biases in the dtype computed in; they must be in its range."""
        with np.errstate(over="ignore", invalid="ignore"):
            found = b.astype(self.dtype)
        if (lost := np.isinf(found) & (b != found)).any():
            at = int(lost.argmax())
            remedy = "pass X or W in float64" if self.dtype.itemsize == 4 else ""
            raise InputError("linear_cross_entropy", "b", f"in the range of {self.dtype}, as `X` and `W` are", float(b[at]), at, remedy)
        return found

    def buffer(self, name, given, shape):
        """The array for a result: the caller's, checked, or a new one."""
        array = empty(shape, self.dtype) if given is None else given
        fits = isinstance(array, np.ndarray) and array.shape == shape and array.dtype == self.dtype
        if not fits or not array.flags.c_contiguous or not array.flags.aligned or not array.flags.writeable:
            found = f"{given.dtype} {given.shape}" if isinstance(given, np.ndarray) else type(given).__name__
            flags = isinstance(given, np.ndarray) and (given.flags.writeable, given.flags.c_contiguous)
            found += ", read-only" if flags and not flags[0] else ", not contiguous" if flags and not flags[1] else ""
            raise ValueError(f"`{name}` must be a writeable, C-contiguous {self.dtype} array of shape {shape}, got {found}")
        for other_name, other in self.taken:
            if other is not None and np.may_share_memory(array, other) and np.shares_memory(array, other):
                raise ValueError(f"`{name}` and `{other_name}` must not share memory")
        self.taken.append((name, array))
        return array

    def plan(self, memory, dX, dW, biased):
        """(rows of a tile, classes of a chunk), so that what is kept for them fits into so many bytes."""
        size, d = self.dtype.itemsize, self.d
        if memory is None:
            memory = max(LEAST, self.classes * d * size // 4)
        if isinstance(memory, bool) or not hasattr(memory, "__index__") or memory.__index__() < 1:
            raise ValueError(f"`memory` must be a whole number of bytes from 1, or None for the default, got {memory!r}")
        numbers = memory.__index__() // size
        chunk = max(1, min(self.classes, max(CHUNK // size // d, SHORT), numbers // 8 // d))
        kept = ((not self.ready(self.W)) + dW) * chunk * d + 4 * biased * self.classes
        row = self.classes + ((not self.ready(self.X)) + dX) * d
        return max(1, min(self.n, TALL, (numbers - kept) // row)), chunk

    def ready(self, array):
        """Can BLAS take it as it is?"""
        ways = (array.shape[1], *array.strides), (array.shape[0], *array.strides[::-1])  # a row contiguous, or a column, and no overlaps
        fits = any(inner == array.itemsize and outer % inner == 0 and outer >= inner * length for length, outer, inner in ways)
        return fits and array.dtype == self.dtype and array.flags.aligned

    def part(self, array, start, stop, scratch):
        """Rows of X or W as BLAS takes them: a view, or converted into the scratch memory."""
        if scratch is None:
            return array[start:stop]
        np.copyto(scratch[: stop - start], array[start:stop], casting="unsafe")
        return scratch[: stop - start]

    @np.errstate(all="ignore")  # NaN and infinity propagate, as everywhere
    def run(self, memory, n_threads, loss=None, dX=None, dW=None, db=None):
        """All rows, a tile at a time. Returns the tally of their losses; fills what is given."""
        threads.choose(n_threads, 0.0)  # refuses what it must before the work begins
        height, chunk = self.plan(memory, dX is not None, dW is not None, self.b is not None or db is not None)
        spans = [(low, min(low + chunk, self.classes)) for low in range(0, self.classes, chunk)]
        tile, total = empty((height, self.classes), self.dtype), rows.RowTally()
        x_room, x_part = self.room(not self.ready(self.X), height), self.room(dX is not None and len(spans) > 1, height)
        w_room, w_part = self.room(not self.ready(self.W), chunk), self.room(dW is not None and self.n > height, chunk)
        ones, sums = np.ones((1, height), self.dtype), np.zeros(self.classes)  # sums of b's gradient, in float64
        for start in range(0, self.n, height):
            stop = min(start + height, self.n)
            x, g = self.part(self.X, start, stop, x_room), tile[: stop - start]
            for low, high in spans:
                np.matmul(x, self.part(self.W, low, high, w_room).T, out=g[:, low:high])
                if self.b is not None:
                    g[:, low:high] += self.b[low:high]
            total.merge(self.row_losses(slice(start, stop), g, loss, any(out is not None for out in (dX, dW, db)), n_threads))
            for low, high in spans:
                if dX is not None:
                    w = self.part(self.W, low, high, w_room)
                    product(g[:, low:high], w, dX[start:stop], None if low == 0 else x_part[: stop - start])
                if dW is not None:
                    product(g[:, low:high].T, x, dW[low:high], None if start == 0 else w_part[: high - low])
            if db is not None:
                sums += np.matmul(ones[:, : stop - start], g)[0]
        if dW is not None and not self.n:
            dW.fill(0.0)
        if db is not None:
            db[...] = sums
        return total

    def room(self, needed, height):
        return empty((height, self.d), self.dtype) if needed else None

    def row_losses(self, span, logits, loss, gradient, n_threads):
        """The tally of some rows' losses; their logits become the gradient, if it is wanted."""
        weight = self.w[span] if self.w is not None and self.w.ndim else self.w
        (tally,), _ = rows.run(
            [self.loss], self.y[span], logits, weight, outputs=(None if loss is None else loss[span], logits, None),
            wanted=(loss is not None, gradient, False), scale=self.scale, n_threads=n_threads,
        )  # fmt: skip
        return tally


def product(a, b, to, part):
    """a @ b, put there; or, by way of memory for a part, added to what is there."""
    if part is None:
        np.matmul(a, b, out=to)
    else:
        np.matmul(a, b, out=part)
        to += part
