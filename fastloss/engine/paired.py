"""Two sets of predictions of the same samples: costs, their difference and how sure it is, who is better how often, and where most."""

from dataclasses import replace

import numpy as np

from fastloss.engine.bootstrap import Bootstrap
from fastloss.engine.compared import ComparedSegment, Comparison, compared
from fastloss.engine.errors import InputError
from fastloss.engine.inputs import as_array
from fastloss.engine.pairsums import ALL, PairSums
from fastloss.engine.records import Record
from fastloss.engine.rowinputs import opened
from fastloss.engine.samples import Samples
from fastloss.engine.segments import MAX_SEGMENTS, order
from fastloss.engine.signs import holm
from fastloss.engine.spread import Spread
from fastloss.engine.state import State
from fastloss.engine.worst import Worst, taken_at


class DifferentSample(Record):
    """difference (loss of B - loss of A), loss_a, loss_b; file_a, row_a, file_b, row_b: where it is; target, prediction_a, prediction_b (a
    tuple, of rows of scores), weight (or None); number, of its pair."""

    __slots__ = (
        "difference", "loss_a", "loss_b", "file_a", "row_a", "file_b", "row_b", "target", "prediction_a", "prediction_b", "weight", "number"
    )  # fmt: skip

    @property
    def rank(self):
        return -abs(self.difference), self.number


class Differing(Worst):
    """The k samples whose losses differ most; among those that differ as much the first."""

    def update(self, a, b, first, second, number, places):
        """Add pairs from ``number`` on: Samples, the arguments that they are of, and functions from a pair's place to its file and row."""
        with np.errstate(over="ignore", invalid="ignore"):
            differences = b.losses.astype(np.float64) - a.losses
        apart = np.abs(differences)
        least = abs(self.held[-1].difference) if len(self.held) == self.k else 0.0
        found = np.flatnonzero((apart >= least) & (apart > 0))
        if a.divisor is not None and len(found):
            found = found[a.divisor[found] > 0]
        for i in self._first(apart, found).tolist():
            mine, theirs = (i if kept is None else int(np.searchsorted(kept, i)) for kept in (first.get("kept"), second.get("kept")))
            weight = first.get("sample_weight")
            self.held.append(DifferentSample(
                float(differences[i]), float(a.losses[i]), float(b.losses[i]), *places[0](i), *places[1](i),
                taken_at(first["y_true"], mine), taken_at(first["y_pred"], mine), taken_at(second["y_pred"], theirs),
                None if weight is None else float(weight[mine]), number + i,
            ))  # fmt: skip
        self._keep()
        return self


class Paired:
    """In pieces: both ``states`` take a piece (and refuse what there is to refuse), then ``update`` does; ``result`` is a Comparison.

    losses      as of State
    segments    how many there may be; 0: none
    worst       how many samples whose losses differ most; 0: none
    bootstrap   how many replicates of a Poisson bootstrap, in each of which a pair counts as often for A as for B; 0: none
    seed, confidence  of the bootstrap, and of intervals

    With nan="skip" a pair of which either loss is NaN counts for neither. Results have the same bits for any pieces and number of threads.
    """

    def __init__(self, losses, nan="propagate", *, segments=0, worst=0, bootstrap=0, seed=0, confidence=0.95):
        self.states = State(losses, nan=nan), State(losses, nan=nan)
        state = self.states[0]
        if state.columns:
            raise ValueError("average='macro' or None has costs of its own for each class, and is not compared; leave it at 'micro'")
        sums = [name for name, loss in zip(state.names, state.losses, strict=True) if loss.definition.terms]
        if sums and worst:
            raise ValueError(f"`worst` is of losses of single samples; {', '.join(sums)} are computed from sums over all of them")
        Spread(confidence=confidence)  # refuses what is none
        self.nan, self.confidence, self.n, self.by = nan, confidence, 0, bool(segments)
        self.samples = tuple(Samples(one._computed) for one in self.states)
        for one, samples in zip(self.states, self.samples, strict=True):
            one._samples = samples
        computed = state._computed
        self.sums = PairSums(computed, nan, segments or 1)
        self.differing = [Differing(worst) for _ in computed] if worst else None
        self.bootstrap = Bootstrap((*computed, *computed), nan, bootstrap, seed, confidence) if bootstrap else None

    def update(self, first, second, *, keys=ALL, codes=None, places=None, n_threads=None):
        """Add pairs, as the states took them: arguments of Samples.of for A and for B.

        keys, codes  sample i is of segment keys[codes[i]]
        places       functions of A and B from i to (file, row)
        """
        a, b = (samples.of(**arguments, n_threads=n_threads) for samples, arguments in zip(self.samples, (first, second), strict=True))
        count = len(a[0].losses)
        if not count:
            return self
        if self.nan == "skip":
            for mine, theirs in zip(a, b, strict=True):
                mine.losses[np.isnan(theirs.losses)] = np.nan
                theirs.losses[np.isnan(mine.losses)] = np.nan
        self.sums.update(keys, np.zeros(count, np.intp) if codes is None else codes, list(zip(a, b, strict=True)), n_threads)
        start = self.n
        places = places or ((lambda i: (0, start + i)),) * 2
        for part, mine, theirs in zip(self.differing or (), a, b, strict=False):
            part.update(mine, theirs, first, second, start, places)
        if self.bootstrap is not None:
            self.bootstrap.update([*a, *b], file=0, row=start)
        self.n += count
        return self

    def result(self, make=Comparison, **fields):
        """The Comparison, or what ``make`` makes of its arguments and ``fields``."""
        every = range(len(self.sums.index))
        results = self._results(every, True)
        segments = None
        if self.by:
            found = [(key, self._results([self.sums.index[key]])) for key in sorted(self.sums.index, key=order)]
            for i, result in enumerate(results):
                if result.p_value is not None:
                    for (_, mine), adjusted in zip(found, holm([mine[i].p_value for _, mine in found]), strict=True):
                        mine[i] = replace(mine[i], p_adjusted=adjusted)
            segments = tuple(ComparedSegment(key, mine[0].n, tuple(mine)) for key, mine in found)
        state, worst = self.states[0], None
        if self.differing is not None:
            worst = {name: tuple(self.differing[of[0]].held) for name, of in zip(state.names, state._which, strict=True)}
        return make(tuple(results), self.n, segments=segments, worst=worst, **fields)

    def _results(self, groups, whole=False):
        """A Compared per loss, of some segments together."""
        state, found = self.states[0], []
        sums = [one.of(groups) for one in self.sums.sums]
        for name, loss, of in zip(state.names, state.losses, state._which, strict=True):
            bootstrap = self._bootstrap(name, loss, of) if whole and self.bootstrap is not None else None
            mine = [sums[i] for i in of]
            found.append(compared(name, loss, mine, self.nan, self.confidence, self.sums.weight_sum(mine[0]), bootstrap))
        return found

    def _bootstrap(self, name, loss, of):
        """The BootstrapResult of the difference of a loss."""
        both = of, [i + len(self.samples[0].losses) for i in of]
        a, b = (self.bootstrap.costs(loss, which) for which in both)
        costs = [theirs - mine for mine, theirs in zip(a, b, strict=True) if mine is not None and theirs is not None]
        return self.bootstrap.summary(name, costs, [*both[0], *both[1]])


def compare(losses, y_true, y_pred_a, y_pred_b, sample_weight=None, *, by=None, nan="propagate", worst=0, bootstrap=0, seed=0,
            confidence=0.95, n_threads=None):  # fmt: skip
    """Two predictions of the same samples, A and B: a Comparison; comparison["mse"].difference is the cost of B less that of A.

    losses         one loss or a list, as of fl.evaluate
    y_true, y_pred_a, y_pred_b, sample_weight  arrays of one dimension; of losses of rows as these take them
    by             values of a segment for each sample (an array of text, integers, bools): the same by segment
    nan            "propagate", "skip" (a pair of which either loss is NaN is left out) or "raise"
    worst          so many samples whose losses differ most
    bootstrap      so many replicates of a Poisson bootstrap, the same for A and B, whose draws ``seed`` and place decide
    confidence     of intervals
    """
    paired = Paired(
        losses, nan, segments=MAX_SEGMENTS * (by is not None), worst=worst, bootstrap=bootstrap, seed=seed, confidence=confidence
    )
    rows, arguments = paired.states[0].rows, []
    weights = None if sample_weight is None else as_array("sample_weight", sample_weight)
    target = opened("y_true", y_true)
    target = target if rows and not hasattr(target, "__array__") else as_array("y_true", target)
    for name, state, prediction in zip("ab", paired.states, (y_pred_a, y_pred_b), strict=True):
        scores = opened("y_pred", prediction) if rows else as_array("y_pred", prediction)
        if not rows and (scores.ndim != 1 or target.ndim != 1 or len(scores) != len(target)):
            raise ValueError(f"`y_true` and `y_pred_{name}` must be 1-D and of one length, got shapes {target.shape} and {scores.shape}")
        given = {"y_true": target, "y_pred": scores, "sample_weight": weights}
        try:
            state.update(**given, n_threads=n_threads)
        except InputError as error:
            if error.argument == "y_pred":
                error.argument = f"y_pred_{name}"
            raise
        arguments.append(given)
    keys, codes = ALL, None
    if by is not None:
        values, codes = np.unique(np.asarray(by), return_inverse=True)
        if codes.shape != (paired.states[0].n,):
            raise ValueError(f"`by` must have a value for each sample, got shape {codes.shape} for {paired.states[0].n} samples")
        keys, codes = [(value,) for value in values.tolist()], codes.astype(np.intp)
    paired.update(*arguments, keys=keys, codes=codes, n_threads=n_threads)
    if not paired.n:
        raise ValueError("there is nothing to compare: no samples")
    return paired.result()
