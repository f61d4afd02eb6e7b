"""Timing on machines that others use too.

Noise only ever adds time, so the minimum over many rounds is the number to keep; the median says how noisy the machine was. Two
minima taken at different moments still meet different noise: what is to be compared is timed by ``side_by_side``, and quoted as
a ratio.
"""

import gc
import random
import statistics
import time
from contextlib import contextmanager
from itertools import repeat

BATCH = 200e-6  # seconds that one reading must last, so that reading the clock (some 50 ns) and its grain do not matter
PAUSE = 5e-3  # seconds in which a candidate's OpenMP threads, which spin for some milliseconds after their work, fall asleep


class Timing:
    """Seconds per call of one candidate.

    minimum, median  over the readings
    readings         how many there were
    calls            calls per reading, of which a reading is the mean
    """

    def __init__(self, minimum, median, readings, calls):
        self.minimum, self.median, self.readings, self.calls = minimum, median, readings, calls

    @classmethod
    def of(cls, readings, calls):
        """The Timing of a list of readings."""
        return cls(min(readings), statistics.median(readings), len(readings), calls)

    def __repr__(self):
        return f"<{self.minimum * 1e6:.3f} us, median {self.median * 1e6:.3f}, {self.readings} readings of {self.calls} calls>"

    def as_dict(self):
        return {"minimum": self.minimum, "median": self.median, "readings": self.readings, "calls": self.calls}

    @classmethod
    def from_dict(cls, fields):
        """What as_dict gave; KeyError, TypeError or ValueError if it is something else."""
        minimum, median = float(fields["minimum"]), float(fields["median"])
        if not 0.0 < minimum <= median < float("inf"):
            raise ValueError(f"a least time of {minimum!r} and a median of {median!r} seconds")
        return cls(minimum, median, int(fields["readings"]), int(fields["calls"]))


def best(function, *, seconds=1.0, min_rounds=5):
    """The Timing of one function of no arguments."""
    return side_by_side({"": function}, seconds=seconds, min_rounds=min_rounds)[""]


def side_by_side(candidates, *, seconds=2.0, min_rounds=5, seed=0):
    """{name: Timing} of {name: function of no arguments}, interleaved.

    Each round gives every candidate a turn, in an order shuffled anew, so that noise, clock frequency and what the predecessor leaves
    in the caches hit all alike. Rounds go on until ``seconds`` have passed, and at least ``min_rounds`` of them. A turn is a
    fiftieth of ``seconds`` and at least one reading, so that a slow candidate does not leave a fast one with few. Each
    candidate is called before, untimed: compilation and first page faults do not count. What a call returns is dropped within
    the reading: freeing a result counts as part of making it.
    """
    if not candidates:
        raise ValueError("nothing to time")
    calls = {name: _calibrated(function) for name, function in candidates.items()}
    readings = {name: [] for name in candidates}
    order, share = list(candidates), seconds / 50
    shuffle = random.Random(seed).shuffle
    end = time.perf_counter() + seconds
    rounds = 0
    with _no_collection():
        while rounds < min_rounds or time.perf_counter() < end:
            shuffle(order)
            for name in order:
                turn = time.perf_counter() + share
                while True:
                    readings[name].append(_reading(candidates[name], calls[name]))
                    if time.perf_counter() >= turn:
                        break
                time.sleep(PAUSE)
            rounds += 1
    return {name: Timing.of(readings[name], calls[name]) for name in candidates}


def ratios(timings, to):
    """{name: minimum / the minimum of ``to``} of all others."""
    return {name: timing.minimum / timings[to].minimum for name, timing in timings.items() if name != to}


def _calibrated(function):
    """Calls per reading: a power of two that lasts BATCH. Warms the function up on the way."""
    function()
    calls = 1
    while _reading(function, calls) * calls < BATCH:
        calls *= 2
    return calls


def _reading(function, calls):
    if calls == 1:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start
    again = repeat(None, calls)
    start = time.perf_counter()
    for _ in again:
        function()
    return (time.perf_counter() - start) / calls


@contextmanager
def _no_collection():
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
