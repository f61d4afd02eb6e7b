"""What the losses of single samples tell besides their mean: parts that each take a chunk's losses, and merge exactly."""

from fastloss.engine.samples import Samples
from fastloss.engine.segments import Segments


class Analysis:
    """Goes beside a State, which has taken the same samples (and refused what there is to refuse) before each update.

    segments  how many segments there may be: costs by segment; 0: none

    update and merge return the object itself. Results have the same bits for any chunks, order, merging and number of threads.
    """

    def __init__(self, state, segments=0):
        self.names, self.losses, self.which, self.nan = tuple(state.names), tuple(state.losses), state._which, state.nan
        self.samples = state._samples = Samples(state._computed)
        self.parts = {}
        if segments:
            self.parts["segments"] = Segments(state._computed, state.nan, segments)

    def update(self, y_true, y_pred, sample_weight=None, *, keys=None, codes=None, kept=None, n=None, without=None, n_threads=None):
        """Add samples, one-dimensional arrays (or rows of scores), as State.update took them.

        keys, codes       sample i is of segment keys[codes[i]]; keys are tuples of values, codes integers
        kept, n, without  where among n samples these are, of which the others have no label, and the weights ``without``
        """
        samples = self.samples.of(y_true, y_pred, sample_weight, kept, n, without, n_threads)
        if "segments" in self.parts:
            self.parts["segments"].update(keys, codes, samples)
        return self

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

    @property
    def segments(self):
        """(Segment, ...) in the order of their values, or None if there was no asking."""
        return tuple(self.parts["segments"].results(self.names, self.losses, self.which)) if "segments" in self.parts else None
