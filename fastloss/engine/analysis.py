"""What the losses of single samples tell besides their mean: parts that each take a chunk's losses, and merge exactly."""

from fastloss.engine.bootstrap import Bootstrap
from fastloss.engine.grouped import look_up
from fastloss.engine.portable import reading, sealed, unsealed
from fastloss.engine.rowinputs import opened
from fastloss.engine.samples import Samples
from fastloss.engine.segments import Segments
from fastloss.engine.series import Series
from fastloss.engine.specs import documents, learn
from fastloss.engine.spread import QUANTILES, Spread
from fastloss.engine.state import State
from fastloss.engine.worst import Worst

MAGIC, WHAT = b"fastloss-analysis-1 ", "fastloss analysis"


class Analysis:
    """Goes beside a State, which has taken the same samples (and refused what there is to refuse) before each update.

    segments    how many segments there may be: costs by segment; 0: none
    spread      the spread of each loss: extremes, quantiles, deviation, standard error
    quantiles   of the spread, numbers from 0 to 1
    worst       how many samples of the largest losses; 0: none
    bootstrap   how many replicates of a Poisson bootstrap; 0: none
    seed        of the bootstrap
    confidence  of intervals
    series      costs along the rows, of stretches of equal length, 512 or fewer

    With ``spread``, segments have standard errors and intervals, too; stretches always have them.
    update and merge return the object itself. Results have the same bits for any chunks, order, merging and number of threads.
    """

    def __init__(
        self, state, *, segments=0, spread=False, quantiles=QUANTILES, worst=0, bootstrap=0, seed=0, confidence=0.95, series=False
    ):
        self.names, self.losses, self.which, self.nan = tuple(state.names), tuple(state.losses), state._which, state.nan
        sums = [name for name, loss in zip(self.names, self.losses, strict=True) if loss.definition.terms]
        if sums and (spread or worst):
            what = "`spread`" if spread else "`worst`"
            raise ValueError(f"{what} is of losses of single samples; {', '.join(sums)} are computed from sums over all of them")
        computed, checked = state._computed, Spread(self.nan, quantiles, confidence)
        self.samples, self.parts = Samples(computed), {}
        if segments:
            self.parts["segments"] = Segments(computed, self.nan, segments, confidence if spread else None)
        if spread:
            self.parts["spread"] = PerLoss(Spread(self.nan, checked.quantiles, confidence) for _ in computed)
        if worst:
            self.parts["worst"] = PerLoss(Worst(worst) for _ in computed)
        if bootstrap:
            self.parts["bootstrap"] = Bootstrap(computed, self.nan, bootstrap, seed, confidence)
        if series:
            self.parts["series"] = Series(computed, self.nan, confidence)
        state._samples = self.samples

    def update(
        self, y_true, y_pred, sample_weight=None, *, keys=None, codes=None, file=0, row=0, position=0, kept=None, n=None, without=None,
        n_threads=None,
    ):  # fmt: skip
        """Add samples, one-dimensional arrays (or rows of scores), as State.update took them.

        keys, codes       sample i is of segment keys[codes[i]]; keys are tuples of values, codes integers
        file, row         number of their file, and row of the first in it
        position          row of the first, counted over all files: of ``series``
        kept, n, without  where among n samples these are, of which the others have no label, and the weights ``without``
        """
        y_true, y_pred = opened("y_true", y_true), opened("y_pred", y_pred)
        samples = self.samples.of(y_true, y_pred, sample_weight, kept, n, without, n_threads)
        if "segments" in self.parts:
            self.parts["segments"].update(keys, codes, samples, n_threads)
        for part, sample in zip(self.parts.get("spread", ()), samples, strict=False):
            part.update(sample)
        for part, sample in zip(self.parts.get("worst", ()), samples, strict=False):
            part.update(sample, y_true, y_pred, sample_weight, kept, file=file, row=row)
        if "bootstrap" in self.parts:
            self.parts["bootstrap"].update(samples, file=file, row=row)
        if "series" in self.parts:
            self.parts["series"].update(samples, position)
        return self

    look_up = staticmethod(look_up)  # for those who make codes of values: evaluation/segments.py

    def merge(self, other):
        """Add what another has seen; it must be of the same losses, policy and parts."""
        if not isinstance(other, Analysis):
            raise TypeError(f"can merge only another Analysis, got {type(other).__name__}")
        mine, theirs = ((one.losses, one.nan, list(one.parts)) for one in (self, other))
        if mine != theirs:
            raise ValueError(f"analyses of different questions do not merge: {mine} and {theirs}")
        for name, part in self.parts.items():
            part.merge(other.parts[name])
        return self

    def to_bytes(self):
        """What was seen, as bytes, for files and other machines; the same for the same samples, however they came. TypeError if the keys of
        segments hold what is no text, integer, bool, float, date, time or None."""
        return sealed(MAGIC, {
            "losses": [loss.spec for loss in self.losses], "names": self.names, "nan": self.nan, "asked": self.asked,
            "parts": {name: part.fields() for name, part in self.parts.items()},
        } | ({"own": own} if (own := documents(self.losses)) else {}))  # fmt: skip

    @property
    def asked(self):
        """What was asked for, as arguments."""
        asked, parts = {}, self.parts
        if "segments" in parts:
            asked["segments"] = parts["segments"].max_segments
        if "spread" in parts:
            asked |= {"spread": True, "quantiles": list(parts["spread"][0].quantiles), "confidence": parts["spread"][0].confidence}
        if "worst" in parts:
            asked["worst"] = parts["worst"][0].k
        if "bootstrap" in parts:
            one = parts["bootstrap"]
            asked |= {"bootstrap": one.replicates, "seed": one.seed, "confidence": one.confidence}
        if "series" in parts:
            asked |= {"series": True, "confidence": parts["series"].sums.confidence}
        return asked

    @classmethod
    def from_bytes(cls, data, state=None):
        """The Analysis that to_bytes wrote; ValueError if it is anything else. state: the State, of the same losses, that it goes beside
        when it is updated; without it, it can be merged and asked."""
        fields = unsealed(MAGIC, data, WHAT)
        with reading(WHAT):
            learn(fields.get("own", ()))
            own = State(fields["losses"], nan=fields["nan"])
            names, asked, parts = tuple(map(str, fields["names"])), fields["asked"], fields["parts"]
            if len(set(names)) != len(own.names) or len(names) != len(own.names):
                raise ValueError("names and losses do not match")
            if "bootstrap" in asked and any(len(sums) != asked["bootstrap"] for sums in parts["bootstrap"]["terms"]):
                raise ValueError("replicates and sums do not match")  # before memory is taken for so many
        if state is not None and (state.losses, state.nan) != (own.losses, own.nan):
            mine, theirs = (f"{', '.join(loss.spec for loss in one.losses)} with nan={one.nan!r}" for one in (state, own))
            raise ValueError(f"the analysis is of another question than the state: {theirs}, not {mine}")
        with reading(WHAT):
            made = cls(own if state is None else state, **asked)
            if made.parts.keys() != parts.keys():
                raise ValueError("it holds something else than was asked for")
            for name, part in made.parts.items():
                part.take(parts[name])
            made.names = names
        return made

    @property
    def segments(self):
        """(Segment, ...) in the order of their values, or None if there was no asking."""
        return tuple(self.parts["segments"].results(self.names, self.losses, self.which)) if "segments" in self.parts else None

    @property
    def series(self):
        """(Stretch, ...) in order, or None if there was no asking."""
        return self.stretches()

    def stretches(self, most=None):
        """The same with neighbours taken together until there are no more than ``most``."""
        return self.parts["series"].results(self.names, self.losses, self.which, most) if "series" in self.parts else None

    @property
    def spread(self):
        """{name of a loss: SpreadResult}, or None if there was no asking; of a loss without samples None."""
        if "spread" not in self.parts:
            return None
        found = {name: (loss, self.parts["spread"][of[0]]) for name, loss, of in zip(self.names, self.losses, self.which, strict=True)}
        return {name: part.result(name, loss.definition.outer) if part.n else None for name, (loss, part) in found.items()}

    @property
    def worst(self):
        """{name of a loss: (WorstSample, ...)}, the worst first, or None if there was no asking."""
        parts = self.parts.get("worst")
        return parts and {name: tuple(parts[of[0]].held) for name, of in zip(self.names, self.which, strict=True)}

    @property
    def bootstrap(self):
        """{name of a loss: BootstrapResult}, or None if there was no asking."""
        part = self.parts.get("bootstrap")
        return part and {name: part.result(name, loss, of) for name, loss, of in zip(self.names, self.losses, self.which, strict=True)}


class PerLoss(list):
    """A part for each computed loss."""

    def merge(self, other):
        for mine, theirs in zip(self, other, strict=True):
            mine.merge(theirs)

    def fields(self):
        return [part.fields() for part in self]

    def take(self, fields):
        for part, found in zip(self, fields, strict=True):
            part.take(found)
