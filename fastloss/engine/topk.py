"""Distillation from a sparse teacher: of every row the K classes that it kept, with their log-probabilities, against C logits.

The classes of a row are seen as K + 1: those that the teacher kept, and all others together, whose mass R is the sum of their
probabilities and never 1 - the sum of the K. So the kernels go over the logits with the K masked; the rest is small, K numbers a row, and
in float64. With p and q the K + 1 probabilities of student and teacher and d = log p - log q, the loss is the sum of q (exp(d) - 1 - d),
which are >= 0, less what q lacks of 1; its gradient is made of q (exp(d) - 1), which is p - q and does not cancel.
"""

from typing import NamedTuple

import numpy as np

from fastloss.engine import inputs, rows, threads
from fastloss.engine.configured import REDUCTIONS
from fastloss.engine.dtypes import compute_dtype, is_float
from fastloss.engine.errors import InputError
from fastloss.engine.logshares import apart, excess, log_of_sum
from fastloss.engine.rowfunctions import compute, configured
from fastloss.engine.specs import class_of
from fastloss.losses import ROW_REGISTRY

NAME = "topk_distillation"
NORMALIZE = ("full", "topk", "both", "tail")
MEMORY = 8 << 20  # bytes of a block of rows, at most, but for one row: so that it stays in a cache between its passes
KEPT = 16  # numbers of 8 bytes that are held for each of the K + 1 classes of a row at a time, at most
TALL = 8192  # rows of a block
SLACK = 0.01  # a log-probability this far above 0 may be rounding, in half precision


class CostGradient(NamedTuple):
    """A cost, and its gradient with respect to the logits."""

    cost: float
    gradient: np.ndarray


class TopKDistillation:
    """Kullback-Leibler divergence of the student's softmax(logits / temperature) from a teacher of whom K classes a row were kept, times
    temperature**2. Immutable, hashable, picklable.

    indices        (N, K) integers: the classes that the teacher kept, all different in a row; -1 is padding and left out, whatever
                   its log-probability. The loss and gradient of a row of padding alone are 0
    log_probs      (N, K) floats: the teacher's log-probabilities of these classes, at that temperature
    logits         (N, C) of the student, C >= 2; any float dtype, strides and byte order; -inf is a masked class
    sample_weight  (N,) weights, finite and >= 0, or one number, or None

    normalize    "full": sum_k q_k (log q_k - log p_k) over the K; what the teacher's other classes would add is left out (this may be < 0)
                 "topk": the same, q made to sum to 1 over the K; p is of all C classes
                 "both": the same, q and p made to sum to 1 over the K: other logits have no gradient
                 "tail": "full", and (1 - sum q) (log (1 - sum q) - log (1 - sum p)): what is left of both, as one more class. A teacher
                 whose q sum to more than 1 by rounding, or who kept all classes, has nothing left
    temperature  what logits are divided by; > 0. log_probs are not: at T != 1 give those of the teacher's logits / T ("topk" and "both"
                 take log_probs / T, as they normalise). With all C classes kept, all but "full" of unnormalised q are fl.distillation

    cost      a float: the correctly rounded mean of the rows' losses, sum(w * loss) / sum(w)
    gradient  (N, C), with respect to the logits, in their dtype
    dtypes    float32 if logits are of that or of half precision and log_probs are not float64, else float64; the K classes in float64
    accuracy  log p_k is (z_k - top) - log of the sum: no digits are lost where the student is sure. Losses near 0 and differences p - q
              keep their digits as far as log p and log q have them; "full" subtracts the teacher's missing mass from the student's
    memory    besides results at most ``memory`` bytes (default 8 MiB), or what one row takes: blocks of r rows with r C numbers of the
              dtype computed in (unless the gradient is of it, and holds them) and 16 r (K + 1) of float64; and what the kernels take
    errors    TypeError for dtypes, ValueError for shapes, InputError for classes beyond 0 to C - 1 or twice in a row (naming row and
              position), for log_probs > 0.01 in "full" and "tail", and for weights; buffers may then hold some results
    """

    __slots__ = ("normalize", "temperature")

    def __init__(self, normalize="full", temperature=1.0):
        if normalize not in NORMALIZE:
            raise ValueError(f"`normalize` of `{NAME}` must be one of {', '.join(map(repr, NORMALIZE))}, got {normalize!r}")
        parameter = configured("log_softmax").definition.parameters["temperature"]
        object.__setattr__(self, "normalize", normalize)
        object.__setattr__(self, "temperature", parameter.check(NAME, "temperature", temperature))

    def __setattr__(self, name, value):
        raise AttributeError(f"a configured loss does not change; make another: TopKDistillation({name}=...)")

    def __delattr__(self, name):
        self.__setattr__(name, None)

    def __eq__(self, other):
        return isinstance(other, TopKDistillation) and (self.normalize, self.temperature) == (other.normalize, other.temperature)

    def __hash__(self):
        return hash((TopKDistillation, self.normalize, self.temperature))

    def __reduce__(self):
        return TopKDistillation, (self.normalize, self.temperature)

    def __repr__(self):
        return f"TopKDistillation(normalize={self.normalize!r}, temperature={self.temperature!r})"

    def cost(self, indices, log_probs, logits, sample_weight=None, *, reduction="mean", memory=None, n_threads=None):
        """The cost, a float: sum(w * loss) / sum(w), or with reduction="sum" the sum alone."""
        sparse = Sparse(self, indices, log_probs, logits, sample_weight, reduction)
        return sparse.loss.finish(sparse.run(memory, n_threads), reduction=reduction)

    def loss(self, indices, log_probs, logits, sample_weight=None, *, loss_out=None, memory=None, n_threads=None):
        """The loss of every row (times its weight), shape (N,), in the dtype of the logits; into loss_out if given."""
        sparse = Sparse(self, indices, log_probs, logits, sample_weight, "sum")
        loss, _ = sparse.outputs((loss_out, None), (True, False))
        sparse.run(memory, n_threads, loss=loss)
        return loss

    def loss_gradient(
        self, indices, log_probs, logits, sample_weight=None, *, loss_out=None, gradient_out=None, memory=None, n_threads=None
    ):
        """(loss, gradient) of every row, times its weight: shapes (N,) and (N, C). gradient_out may be logits itself."""
        sparse = Sparse(self, indices, log_probs, logits, sample_weight, "sum")
        loss, gradient = sparse.outputs((loss_out, gradient_out), (True, True))
        sparse.run(memory, n_threads, loss=loss, gradient=gradient)
        return loss, gradient

    def cost_gradient(
        self, indices, log_probs, logits, sample_weight=None, *, gradient_out=None, reduction="mean", memory=None, n_threads=None
    ):
        """CostGradient (cost, gradient): the cost, and its gradient, which is divided by the sum of the weights unless reduction="sum".
        gradient_out may be logits itself."""
        sparse = Sparse(self, indices, log_probs, logits, sample_weight, reduction, gradient=True)
        _, gradient = sparse.outputs((None, gradient_out), (False, True))
        return CostGradient(sparse.loss.finish(sparse.run(memory, n_threads, gradient=gradient), reduction=reduction), gradient)


def topk_distillation(
    indices, log_probs, logits, sample_weight=None, *, normalize="full", temperature=1.0, gradient=False, gradient_out=None,
    reduction="mean", memory=None, n_threads=None,
):  # fmt: skip
    """The cost of distillation from a teacher's K classes a row, a float; with gradient=True CostGradient (cost, gradient), the gradient
    in gradient_out if given. Losses of rows are of the class; the rest is as in TopKDistillation:"""
    distillation = TopKDistillation(normalize, temperature)
    common = {"reduction": reduction, "memory": memory, "n_threads": n_threads}
    if gradient not in (True, False):
        raise ValueError(f"`gradient` must be True or False, got {gradient!r}")
    if gradient:
        return distillation.cost_gradient(indices, log_probs, logits, sample_weight, gradient_out=gradient_out, **common)
    if gradient_out is not None:
        raise ValueError("`gradient_out` is given, but no gradient is wanted: pass gradient=True")
    return distillation.cost(indices, log_probs, logits, sample_weight, **common)


topk_distillation.__doc__ = f"{topk_distillation.__doc__}\n\n    {TopKDistillation.__doc__}"


class Sparse:
    """The operands of one call, checked, and the pass over them."""

    def __init__(self, distillation, indices, log_probs, logits, sample_weight, reduction, gradient=False):
        if reduction not in REDUCTIONS:
            raise ValueError(f"`reduction` must be one of {', '.join(map(repr, REDUCTIONS))}, got {reduction!r}")
        self.normalize, self.temperature = distillation.normalize, distillation.temperature
        self.z, self.log_probs = inputs.as_array("logits", logits), inputs.as_array("log_probs", log_probs)
        self.indices = inputs.as_array("indices", indices)
        if self.z.ndim != 2 or self.z.shape[1] < 2:
            raise ValueError(f"`logits` must have shape (N, C), rows of 2 classes or more, got shape {self.z.shape}")
        self.n, self.classes = self.z.shape
        if self.indices.dtype.kind not in "iu":
            raise TypeError(f"`indices` must be integers, class numbers from 0 to {self.classes - 1} or -1; got dtype {self.indices.dtype}")
        if not is_float(self.log_probs.dtype):
            raise TypeError(f"`log_probs` must be floats, got dtype {self.log_probs.dtype}")
        if self.indices.ndim != 2 or len(self.indices) != self.n or not self.indices.shape[1]:
            raise ValueError(f"`indices` must have shape ({self.n}, K), a row per row of `logits`, got shape {self.indices.shape}")
        if self.log_probs.shape != self.indices.shape:
            raise ValueError(f"`log_probs` has shape {self.log_probs.shape}, but `indices` has {self.indices.shape}; they must be equal")
        self.w = None if sample_weight is None else inputs.as_array("sample_weight", sample_weight)
        if self.w is not None and self.w.shape not in ((), (self.n,)):
            raise ValueError(f"`sample_weight` must have shape ({self.n},), one per row of `logits`, or be a number; got {self.w.shape}")
        self.dtype = np.dtype(compute_dtype(self.log_probs.dtype, self.z.dtype))
        # What adds up the rows' losses: of label 0 and scores -loss it is the loss
        self.loss, self.scale = class_of(ROW_REGISTRY["negative_log_likelihood"])(), 1.0
        weights = rows.RowTally()
        if self.n:
            weights = rows.weigh([self.loss], [self.loss.bound("float64")], self.labels(self.n), self.w, (self.n,), 2)
        if reduction == "mean":
            if weights.weight == 0:
                raise ValueError(f"the mean of `{NAME}` has nothing to divide by: no rows, or all weights zero")
            self.scale = rows.scale_of(weights) if gradient else 1.0

    @staticmethod
    def labels(n):
        return np.broadcast_to(np.int8(0), (n,))

    def outputs(self, given, wanted):
        """(loss, gradient): the caller's arrays, checked, or new ones."""
        taken = (("indices", self.indices), ("log_probs", self.log_probs), ("sample_weight", self.w))
        for name, array in zip(("loss_out", "gradient_out"), given, strict=True):
            for other_name, other in taken if isinstance(array, np.ndarray) else ():
                if other is not None and np.may_share_memory(array, other) and np.shares_memory(array, other):
                    raise ValueError(f"`{name}` and `{other_name}` must not share memory")
        names = ("loss_out", "gradient_out", "")
        return rows.outputs_of((*given, None), (*wanted, False), (self.n,), self.z, None, None, self.dtype.name, names, "logits")[:2]

    def height(self, memory, room):
        """Rows of a block, which has room for their logits or needs none."""
        memory = MEMORY if memory is None else memory
        if isinstance(memory, bool) or not hasattr(memory, "__index__") or memory.__index__() < 1:
            raise ValueError(f"`memory` must be a whole number of bytes from 1, or None for the default, got {memory!r}")
        row = 8 * KEPT * (self.indices.shape[1] + 1) + room * self.classes * self.dtype.itemsize
        return max(1, min(self.n, TALL, memory.__index__() // row))

    @np.errstate(all="ignore")  # NaN and infinity propagate, as everywhere
    def run(self, memory, n_threads, loss=None, gradient=None):
        """All rows, a block at a time. Returns the tally of their losses; fills what is given."""
        threads.choose(n_threads, 0.0)
        direct = gradient is not None and gradient.dtype == self.dtype and gradient.flags.c_contiguous and gradient.flags.aligned
        masked = not direct and (self.normalize != "both" or gradient is not None)
        height, total = self.height(memory, masked), rows.RowTally()
        room = np.empty((min(height, self.n), self.classes), self.dtype) if masked else None
        for start in range(0, self.n, height):
            stop = min(start + height, self.n)
            block = gradient[start:stop] if direct else None if room is None else room[: stop - start]
            weight = self.w if self.w is None or not self.w.ndim else self.w[start:stop]
            losses = self.block(start, stop, block, gradient is not None, weight, n_threads)
            if gradient is not None and not direct:
                gradient[start:stop] = block
            scores = np.broadcast_to(-losses[:, None], (stop - start, 2))
            (tally,), _ = rows.run(
                [self.loss], self.labels(stop - start), scores, weight, outputs=(None if loss is None else loss[start:stop], None, None),
                wanted=(loss is not None, False, False), n_threads=n_threads,
            )  # fmt: skip
            total.merge(tally)
        return total

    def block(self, start, stop, block, gradient, weight, n_threads):
        """The losses of some rows; their gradient in ``block``, which has room for their logits, if it is wanted."""
        kept, classes, q, short = self.teacher(start, stop)
        row = np.arange(stop - start)[:, None]
        own = np.where(kept, self.z[start:stop][row, classes].astype(np.float64) / self.temperature, -np.inf)
        top, log_rest = log_of_sum(own)
        masked = np.isneginf(own) & (top == top)[:, None]
        own = np.where(masked, -np.inf, (own - top[:, None]) - log_rest[:, None])  # their logarithms as shares of the K
        rest = np.full(len(row), -np.inf)
        if self.normalize == "both":
            own[masked.all(1) & kept.any(1)] = np.nan  # kept by the teacher, but all masked: shares of nothing
        else:
            np.copyto(block, self.z[start:stop], casting="unsafe")
            block[np.broadcast_to(row, kept.shape)[kept], classes[kept]] = -np.inf
            gap = self.others(block, top, log_rest, n_threads)
            own = own - np.logaddexp(0.0, gap)[:, None]
            rest = -np.logaddexp(0.0, -gap)
        p = np.column_stack((own, rest))
        losses = self.temperature**2 * (excess(p, q).sum(1) - short)
        nothing = ~kept.any(1)
        losses[nothing] = 0.0  # whatever the student says of it
        if gradient:
            g = apart(p, q) - short[:, None] * np.exp(p)
            g *= self.temperature * self.scale * (1.0 if weight is None else weight.astype(np.float64).reshape(-1, 1))
            if self.normalize == "both":
                block.fill(0.0)
            else:
                nothing |= np.isneginf(rest)
                compute(configured("log_sum_exp", self.temperature), block, (len(row),), out=block, per_class=True, n_threads=n_threads,
                        function=NAME)  # fmt: skip
                block *= g[:, -1:].astype(self.dtype)
                block[nothing] = 0.0
            block[np.broadcast_to(row, kept.shape)[kept], classes[kept]] = g[:, :-1][kept]
        return losses.astype(self.dtype)

    def teacher(self, start, stop):
        """(which of the K are no padding, their classes, log q of the K and of all others, 1 - what q sums to)."""
        given, log_q = self.indices[start:stop], self.log_probs[start:stop].astype(np.float64)
        classes = np.where(given > self.classes, self.classes, given).astype(np.int64)  # no uint64 becomes -1
        kept = classes != -1
        self.check(start, classes, log_q, kept)
        classes, log_q = np.where(kept, classes, 0), np.where(kept, log_q, -np.inf)
        rest, short = np.full(len(classes), -np.inf), np.zeros(len(classes))
        if self.normalize in ("topk", "both"):
            top, log_rest = log_of_sum(log_q)
            log_q = np.where(kept, (log_q - top[:, None]) - log_rest[:, None], -np.inf)
            if self.normalize == "topk":
                short = np.where(kept.any(1), 0.0, 1.0)  # of no teacher: the loss is then 0
        else:
            at = log_q.argmax(1)[:, None]
            q = np.exp(log_q)
            largest = np.take_along_axis(log_q, at, 1)[:, 0]
            np.put_along_axis(q, at, 0.0, 1)
            others = q.sum(1)
            short = -(np.expm1(largest) + others)
            if self.normalize == "tail":
                tail = np.where((short < 0.0) | (kept.sum(1) == self.classes), 0.0, short)  # rounding, where there is no other class
                rest = np.where(tail > 0.5, np.log1p(-(others + np.exp(largest))), np.log(tail))
                short = short - tail
        return kept, classes, np.column_stack((log_q, rest)), short

    def check(self, start, classes, log_q, kept):
        """InputError for the first class that is none, or is there twice, or has no log-probability."""
        ordered = np.sort(classes, axis=1)
        twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
        bad = kept & ((classes < 0) | (classes >= self.classes))
        high = kept & (log_q > SLACK) if self.normalize in ("full", "tail") else np.zeros_like(kept)
        for i in np.flatnonzero(twice.any(1) | bad.any(1) | high.any(1))[:1].tolist():
            if bad[i].any():
                j, said = int(bad[i].argmax()), f"a class from 0 to {self.classes - 1} (or -1, which is left out)"
            elif twice[i].any():
                seen = classes[i].tolist()
                j = next(j for j, one in enumerate(seen) if one >= 0 and one in seen[:j])
                said = "different classes in a row"
            else:
                j, value = int(high[i].argmax()), float(log_q[i, high[i].argmax()])
                said, remedy = "log-probabilities, <= 0", "scores that are not normalised: normalize='topk' or 'both'"
                raise InputError(NAME, "log_probs", said, value, (start + i, j), remedy)
            raise InputError(NAME, "indices", said, int(self.indices[start + i, j]), (start + i, j))

    def others(self, block, top, log_rest, n_threads):
        """log(R / (1 - R)), R the mass of all classes but the K: these are masked in the block."""
        height = (len(block),)
        beyond = compute(configured("log_softmax", self.temperature), block, height, n_threads=n_threads, function=NAME).astype(np.float64)
        most = block.max(1) if self.temperature == 1.0 else block.max(1) / self.dtype.type(self.temperature)  # as the kernel has it
        none = np.isneginf(most)
        return np.where(none & (log_rest >= 0.0), -np.inf, (most - top) + (np.where(none, 0.0, beyond) - log_rest))
