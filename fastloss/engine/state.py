"""State: what a stretch of data adds up to, for any number of losses. States merge exactly, so splits and order leave no trace."""

import copy
import functools

import numpy as np

from fastloss.engine import backends
from fastloss.engine.configured import OUTER, Loss
from fastloss.engine.errors import InputError
from fastloss.engine.exact import ONE, as_int, quotient
from fastloss.engine.portable import reading, sealed, unsealed
from fastloss.engine.records import Record
from fastloss.engine.run import NAN_POLICIES, Tally
from fastloss.engine.specs import FORGETTERS, documents, get, learn
from fastloss.engine.sums import ColumnsTally

MAGIC = b"fastloss-state-1 "
ALONE = (str, Loss)
WANTED = "`losses` is a loss, as 'huber:delta=2' or Huber(delta=2), or a list of them, and comes first: evaluate(losses, y_true, y_pred)"


class Result(Record):
    """One loss's line in a table: name, cost, n (rows seen), n_nan, n_inf (losses that are NaN or infinite), weight_sum (or None), and
    classes: None, or with per_class=True {label: ClassResult} of the labels seen, in order."""

    __slots__ = ("name", "spec", "cost", "n", "n_nan", "n_inf", "weight_sum", "classes")

    def __init__(self, **fields):
        for name, value in fields.items():
            setattr(self, name, value)


class ClassResult(Record):
    """What the rows of one label come to: cost (None if there is nothing to divide by), n, n_nan, n_inf, weight_sum (or None)."""

    __slots__ = ("cost", "n", "n_nan", "n_inf", "weight_sum")

    def __init__(self, tally, nan, weighted, outer=None):
        self.cost = OUTER[outer](tally.mean(nan == "skip")) if tally.weight else None
        self.n, self.n_nan, self.n_inf = tally.n, tally.n_nan, tally.n_positive + tally.n_negative
        self.weight_sum = quotient(tally.weight, ONE) if weighted else None


@functools.lru_cache(maxsize=256)
def _question(given):
    """(losses, names, which of the tallies each loss is made of, the loss that each tally is of) of what `losses` names."""
    losses = tuple(map(get, given))
    names = tuple(loss if isinstance(loss, str) else configured.spec for loss, configured in zip(given, losses, strict=True))
    if len(set(names)) < len(names):
        raise ValueError(f"`losses` names a loss twice: {', '.join(names)}")
    if len({loss.definition.rows for loss in losses}) > 1:
        raise ValueError(f"losses of single predictions and losses of rows do not go together: {', '.join(names)}")
    # losses that compute the same per sample (mse and rmse, dice and tversky) share one kernel and one tally
    keys = [[(one.kernel, tuple(one.parameters.items()), one.configured()) for one in loss.computed()] for loss in losses]
    computed = {}
    for of, loss in zip(keys, losses, strict=True):
        for key, one in zip(of, loss.computed(), strict=True):
            computed.setdefault(key, one)
    order = list(computed)
    return losses, names, tuple(tuple(map(order.index, of)) for of in keys), tuple(computed.values())


FORGETTERS.append(_question.cache_clear)


def question(given):
    try:
        return _question(given)
    except TypeError:  # not hashable, and then no loss: the words for that
        if given and isinstance(given[0], int | float | np.number):
            raise TypeError(f"{WANTED}; got numbers, the first {given[0]!r}") from None
        return _question.__wrapped__(given)


def listed(losses):
    """What `losses` names, as a list; TypeError if it is no loss and no list."""
    if isinstance(losses, (*ALONE, type)):
        return [losses]
    if hasattr(losses, "__array__") and (array := np.asarray(losses)).dtype.kind not in "OTU":
        raise TypeError(f"{WANTED}; got an array of {array.dtype}, of shape {array.shape}")
    try:
        return list(losses)
    except TypeError:
        return [get(losses)]  # no loss either, which get refuses


def written(tally):
    """A tally as JSON."""
    return [hex(tally.total), hex(tally.weight), tally.n_nan, tally.n_positive, tally.n_negative]


def read(found, tally):
    """The tally, with what `written` wrote."""
    total, weight, *counts = found
    tally.total, tally.weight = int(total, 16), int(weight, 16)
    tally.n_nan, tally.n_positive, tally.n_negative = map(int, counts)
    if min(tally.weight, *map(int, counts)) < 0:
        raise ValueError("a count is negative")
    return tally


def read_labels(found, tally):
    """The parts of a tally by label or by column, of what to_bytes wrote."""
    for label, (*sums, n) in found.items():
        part = tally.labels[int(label)] = read(sums, Tally())
        part.n = int(n)
        if part.n < 0 or int(label) < 0:
            raise ValueError("a count or label is negative")
    if found and tally.classes and max(tally.labels) >= tally.classes:
        raise ValueError("a label is no class")
    if isinstance(tally, ColumnsTally):
        tally.classes = len(tally.labels)
        if sorted(tally.labels) != list(range(tally.classes)):
            raise ValueError("there is not one sum for each class")


class State:
    """A running cost: ``State("huber").update(y, p).update(y2, p2).compute()``.

    losses     one loss (text or configured), and compute() gives its cost; or a list, and compute() gives {name as given: cost}
    nan        "propagate", "skip" or "raise", as in Loss.__call__
    per_class  of losses of rows with labels: results() has the cost of the rows of each label, too, as exact and as mergeable

    update and merge return the state itself. The result has the same bits for any chunking, order, number of threads or workers.
    A failed update leaves the state as it was.
    """

    def __init__(self, losses, nan="propagate", per_class=False):
        self.single = isinstance(losses, ALONE) or (isinstance(losses, type) and issubclass(losses, Loss))
        given = listed(losses)
        if not given:
            raise ValueError("`losses` is empty: give at least one loss")
        if nan not in NAN_POLICIES:
            raise ValueError(f"`nan` must be one of {', '.join(map(repr, NAN_POLICIES))}, got {nan!r}")
        losses, names, self._which, self._computed = question(tuple(given))
        self.losses, self.names, self.nan, self.n, self.weighted, self.bits = list(losses), list(names), nan, 0, False, set()
        self._samples = None  # engine/samples.py: keeps what an update computes, where an Analysis wants the losses of single samples
        self._tallies, self.per_class = [loss.new_tally() for loss in self._computed], bool(per_class)
        if per_class and not all(loss.definition.rows and loss.labels and not loss.definition.terms for loss in (*losses, *self._computed)):
            raise ValueError(f"`per_class` is of losses whose target is a label per row, as softmax_cross_entropy; got {', '.join(names)}")

    @property
    def rows(self):
        """Are its losses of rows of C scores?"""
        return self._computed[0].definition.rows

    @property
    def columns(self):
        """Are there costs of each class by itself among them: average="macro" or None?"""
        return any(isinstance(tally, ColumnsTally) for tally in self._tallies)

    def update(self, y_true, y_pred, sample_weight=None, n_threads=None):
        """Add samples; arguments as in Loss.__call__. Empty arrays add nothing."""
        options, tallies = {"per_class": True} if self.per_class else {}, {}
        found = None if self._samples is None else self._samples.tallies(y_true, y_pred, sample_weight, self.nan, n_threads)
        if found is not None:
            self._add(found, found[0].n)
            self.bits |= {loss.bits for loss in self._computed}
            return self
        for run in dict.fromkeys(loss.run for loss in self._computed):  # one pass for all, but for sums per class
            losses = [loss for loss in self._computed if loss.run is run]
            found, _ = run(losses, y_true, y_pred, sample_weight, nan=self.nan, n_threads=n_threads, **options)
            tallies |= zip(map(id, losses), found, strict=True)
        tallies = [tallies[id(loss)] for loss in self._computed]
        self._add(tallies, tallies[0].n)
        self.weighted |= sample_weight is not None
        self.bits |= {loss.bits for loss in self._computed}
        return self

    def _add(self, tallies, n):
        for into, tally in zip(self._tallies, tallies, strict=True):
            into.check(tally)
        for into, tally in zip(self._tallies, tallies, strict=True):
            into.merge(tally)
        self.n += n

    def update_missing(self, n, sample_weight=None):
        """Add n rows whose label is not known: samples whose loss is NaN, of no class."""
        weights = np.ones(n) if sample_weight is None else np.asarray(sample_weight, np.float64)
        bad = ~((weights >= 0) & np.isfinite(weights))
        if bad.any():
            raise InputError(None, "sample_weight", "finite and >= 0", float(weights[bad][0]), int(bad.argmax()))
        weight = 0 if self.nan == "skip" else n * ONE if sample_weight is None else sum(map(as_int, weights.tolist()))
        self.n += n
        self.weighted |= sample_weight is not None
        for tally in self._tallies:
            tally.n, tally.n_nan, tally.weight = tally.n + n, tally.n_nan + n, tally.weight + weight
        return self

    def merge(self, other):
        """Add what another state has seen; it must be of the same losses and NaN policy."""
        if not isinstance(other, State):
            raise TypeError(f"can merge only another State, got {type(other).__name__}")
        if (other.losses, other.nan, other.per_class) != (self.losses, self.nan, self.per_class):
            each = {True: ", per class", False: ""}
            mine, theirs = (
                f"{[loss.spec for loss in state.losses]} with nan={state.nan!r}{each[state.per_class]}" for state in (self, other)
            )
            raise ValueError(f"states of different questions do not merge: {mine} and {theirs}")
        self._add(other._tallies, other.n)
        self.weighted |= other.weighted
        self.bits |= other.bits
        return self

    def _of(self, which):
        return [self._tallies[i] for i in which]

    def compute(self):
        """The cost (a float), or {name: cost} if the state was made from a list. ValueError if there is nothing to divide by."""
        costs = [loss.cost_of(self._of(which), self.nan) for loss, which in zip(self.losses, self._which, strict=True)]
        return costs[0] if self.single else dict(zip(self.names, costs, strict=True))

    def results(self):
        """A Result per loss, in order."""
        rows = []
        for name, loss, which in zip(self.names, self.losses, self._which, strict=True):
            tally, of = self._tallies[which[0]], self._of(which)  # of several, all have the same weights
            rows.append(Result(
                name=name, spec=loss.spec, cost=loss.cost_of(of, self.nan), n=self.n, n_nan=max(one.n_nan for one in of),
                n_inf=max(one.n_positive + one.n_negative for one in of), weight_sum=quotient(tally.weight, ONE) if self.weighted else None,
                classes=self._classes(loss, tally) if self.per_class else None,
            ))  # fmt: skip
        return rows

    def _classes(self, loss, tally):
        """{label: ClassResult} of a loss."""
        return {label: ClassResult(tally.labels[label], self.nan, self.weighted, loss.definition.outer) for label in sorted(tally.labels)}

    def __copy__(self):
        return copy.deepcopy(self)

    def __repr__(self):
        return f"<State of {', '.join(self.names)} after {self.n} samples>"

    @property
    def own(self):
        """The definitions of the losses that are not of the package, as JSON: where ``learn`` has them, their names are known."""
        return documents(self.losses)

    learn = staticmethod(learn)

    def to_bytes(self):
        """The state as bytes: a line of magic and CRC-32, then JSON (integers of any size as hexadecimal). For files and other machines."""
        fields = {
            "losses": [loss.spec for loss in self.losses], "names": self.names, "single": self.single, "nan": self.nan, "n": self.n,
            "weighted": self.weighted, "bits": sorted(self.bits),
            "tallies": [written(tally) for tally in self._tallies],
        }  # fmt: skip
        fields |= {"own": own} if (own := self.own) else {}
        if self.rows:
            fields["ignored"] = [tally.n_ignored for tally in self._tallies]
            fields["classes"] = [tally.classes for tally in self._tallies]
        if self.per_class or self.columns:
            parts = [getattr(tally, "labels", {}) for tally in self._tallies]
            fields["per_class" if self.per_class else "columns"] = [
                {label: [*written(part), part.n] for label, part in sorted(labels.items())} for labels in parts
            ]
        return sealed(MAGIC, fields)

    @classmethod
    def from_bytes(cls, data):
        """The state that to_bytes wrote; ValueError if it is anything else."""
        fields = unsealed(MAGIC, data, "fastloss state")
        with reading("fastloss state"):
            learn(fields.get("own", ()))
            state = cls(fields["losses"], nan=fields["nan"], per_class="per_class" in fields)
            state.names, state.single = [str(name) for name in fields["names"]], bool(fields["single"])
            state.n, state.weighted, state.bits = int(fields["n"]), bool(fields["weighted"]), set(map(str, fields["bits"]))
            for tally, found in zip(state._tallies, fields["tallies"], strict=True):
                read(found, tally).n = state.n
            for tally, ignored in zip(state._tallies, fields.get("ignored", ()), strict=False):
                tally.n_ignored = int(ignored)
            for tally, classes in zip(state._tallies, fields.get("classes", ()), strict=False):
                tally.classes = int(classes)
            labelled = fields["per_class"] if state.per_class else fields["columns"] if state.columns else [{} for _ in state._tallies]
            for tally, labels in zip(state._tallies, labelled, strict=True):
                read_labels(labels, tally)
            if min(state.n, *(count for tally in state._tallies if state.rows for count in (tally.n_ignored, tally.classes)), 0) < 0:
                raise ValueError("a count is negative")
            names = len(set(state.names)), len(state.names)
            if names != (len(state.losses),) * 2 or (state.single and len(state.losses) != 1):
                raise ValueError("names and losses do not match")
        return state


def evaluate(losses, y_true, y_pred, sample_weight=None, *, nan="propagate", n_threads=None):
    """The costs of many losses in one pass over the data: {name as given: cost}. Arguments as in Loss.__call__."""
    given = [losses] if isinstance(losses, ALONE) else losses
    backend = backends.current()
    if type(given) in (list, tuple) and given and nan == "propagate" and hasattr(backend, "run_plain"):
        configured, names, which, computed = question(tuple(given))
        plain = not any(loss.definition.rows or loss.definition.terms for loss in configured)
        means = plain and backend.run_plain([loss.calls() for loss in computed], y_true, y_pred, sample_weight, False, n_threads, True)
        if means:
            costs = (OUTER[loss.definition.outer](means[i]) for loss, (i,) in zip(configured, which, strict=True))
            return dict(zip(names, costs, strict=True))
    return State(given, nan=nan).update(y_true, y_pred, sample_weight, n_threads=n_threads).compute()
