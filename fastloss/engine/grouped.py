"""What per-sample losses add up to by group: on the compiled kernels in threads, on other backends in NumPy.

Measured on a thread of Zen 4, 2**18 float32 losses: 1.4 ns a row in 100 groups, 1.7 in 1,000 and 2.9 in 10,000; to add each to its
exact sum took 3.9, 4.0 and 10 (NumPy's sums, groups.py: 4.7). Beside polars' threads, which decode a file meanwhile, two threads need 2.2.
"""

import numpy as np

from fastloss.engine import backends, threads
from fastloss.engine.exact import ONE
from fastloss.engine.groups import Counts, GroupSums, has_specials
from fastloss.engine.portable import read_tally, tally_fields
from fastloss.engine.run import Tally

NANOSECONDS = 3.0  # what a row costs one thread


class Grouped:
    """A Tally for each group: ``add`` rows, ``merge`` others, read ``tallies()``. Exact, so that any split gives the same."""

    __slots__ = ("skip_nan", "held", "live")

    def __init__(self, skip_nan):
        self.skip_nan, self.held, self.live = skip_nan, {}, {}

    def add(self, sample, codes, ids, size, n_threads=None):
        """Rows of a Sample to the groups ids[codes] (both intp), which are below ``size``."""
        weighted = sample.divisor is not None  # where rows count one each, their weights are no sum of numbers
        live = self.live.get(weighted)
        if live is None:
            live = self.live[weighted] = new(self.skip_nan)
        elif not live.room(size):
            self._take(weighted)
        live.add(sample.losses, sample.weights, sample.divisor, codes, ids, 2 * size, threads.choose(n_threads, NANOSECONDS * len(codes)))

    def _take(self, weighted):
        for group, (total, n_nan, n_positive, n_negative, weights, rows) in self.live[weighted].take().items():
            tally = self.held.setdefault(group, Tally())
            tally.n += rows
            tally.total += total
            tally.weight += weights if weighted else (rows - n_nan * self.skip_nan) * ONE
            tally.n_nan += n_nan
            tally.n_positive += n_positive
            tally.n_negative += n_negative

    def tallies(self):
        """{group: Tally} of the groups that occurred."""
        for weighted in self.live:
            self._take(weighted)
        return self.held

    def merge(self, other, ids):
        """Add another's sums, whose group i is ids[i] here."""
        self.tallies()
        for group, tally in other.tallies().items():
            self.held.setdefault(ids[group], Tally()).merge(tally)

    def fields(self, groups):
        """The tallies of some groups, in their order, as JSON."""
        found = self.tallies()
        return [tally_fields(found.get(group) or Tally()) for group in groups]

    def take(self, fields):
        """Hold what ``fields`` told, of groups 0, 1, ..., in an empty one."""
        self.held = {group: tally for group, tally in enumerate(map(read_tally, fields)) if tally.n}

    def __reduce__(self):
        return restored, (self.skip_nan, self.tallies())


def restored(skip_nan, held):
    grouped = Grouped(skip_nan)
    grouped.held = held
    return grouped


def new(skip_nan):
    module = getattr(backends.current(), "module", None)
    return InNumPy(skip_nan) if module is None else module.Groups(skip_nan)


def look_up(values, base, table, codes, n_threads=None):
    """codes[i] = table[values[i] - base] (codes, table: intp), or -1 where that is beyond the table. Whether there is a code below 0."""
    if values.dtype.kind == "u" and base < 0:  # modulo 2**64, the largest of these would be as negative ones
        base, table = 0, table[-base:]
    module = getattr(backends.current(), "module", None)
    if module is not None and values.flags.c_contiguous and values.flags.aligned and values.dtype.isnative:
        return module.look_up(values, base, table, codes, threads.choose(n_threads, 0.6 * len(values)))
    with np.errstate(over="ignore"):
        places = values.astype(np.uint64) - np.uint64(base % 2**64)  # modulo 2**64: what is below the base is far above the table
    inside = places < len(table)
    codes[...] = -1
    codes[inside] = table[places[inside].astype(np.intp)]
    return bool((codes < 0).any())


class InNumPy:
    """As Groups of the compiled kernels (kernels/groups.pxi)."""

    def __init__(self, skip_nan):
        self.skip_nan = skip_nan
        self._forget()

    def _forget(self):
        self.terms, self.weights, self.weighted = GroupSums(), GroupSums(), False
        self.rows, self.nan, self.positive, self.negative = Counts(), Counts(), Counts(), Counts()

    def room(self, size):
        return True

    def add(self, losses, weights, divisor, codes, ids, size, n_threads):
        if len(codes) and not (codes.min() >= 0 and codes.max() < len(ids)):
            raise IndexError(f"codes must be from 0 to {len(ids) - 1}")
        counts = np.bincount(codes, minlength=len(ids))
        here = np.flatnonzero(counts)
        if not len(here):
            return
        most = counts.max()

        def place(sums, values, chosen=slice(None)):
            sums.add(values, codes[chosen], ids[here], most, here, len(ids))

        self.rows.add(counts[here], ids[here])
        terms = losses.astype(np.float64)
        if weights is not None:
            with np.errstate(over="ignore", under="ignore", invalid="ignore"):
                np.multiply(terms, weights, out=terms)
        counted = slice(None)
        if has_specials(terms):
            lost = np.isnan(terms)
            for into, chosen in ((self.nan, lost), (self.positive, terms == np.inf), (self.negative, terms == -np.inf)):
                into.add(np.bincount(codes[chosen], minlength=len(ids))[here], ids[here])
            terms[~np.isfinite(terms)] = 0
            counted = ~lost if self.skip_nan else counted
        place(self.terms, terms)
        if divisor is not None:
            self.weighted = True
            place(self.weights, divisor[counted].copy(), counted)

    def take(self):
        totals, weights, found = self.terms.totals(), self.weights.totals(), {}
        for group in np.flatnonzero(self.rows.held).tolist():
            specials = self.nan[group], self.positive[group], self.negative[group]
            found[group] = totals.get(group, 0), *specials, weights.get(group, 0) if self.weighted else None, self.rows[group]
        self._forget()
        return found
