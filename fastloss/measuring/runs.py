"""Many comparisons: measured, saved, read back, and one run held against another."""

import json
import math

from fastloss.measuring import LONGEST, machine, rows
from fastloss.measuring import compare as comparing
from fastloss.measuring.compare import Comparison

SCHEMA = 1  # raised when a field changes its meaning or goes
KIND = "fastloss bench"


class RunError(ValueError):
    """A file that should hold a saved run does not."""


class Run:
    """Comparisons of one run, on one machine (machine.facts), of so many ``seconds`` each."""

    def __init__(self, machine, seconds, comparisons):
        self.machine, self.seconds, self.comparisons = machine, seconds, comparisons

    @property
    def cases(self):
        """{case: Comparison}, of cases (loss, output, dtype, n), and the number of classes where a loss is of rows."""
        return {comparison.case: comparison for comparison in self.comparisons}

    @property
    def rivals(self):
        """All that were timed somewhere, in the order of the table."""
        from fastloss.measuring.rivals import MODULES

        timed = {name for comparison in self.comparisons for name in comparison.timings}
        return [name for name in MODULES if name in timed]

    def as_dict(self):
        return {
            "kind": KIND, "schema": SCHEMA, "machine": self.machine, "seconds": self.seconds,
            "comparisons": [comparison.as_dict() for comparison in self.comparisons],
        }  # fmt: skip


def measure(cases, names=None, seconds=2.0, report=None):
    """The Run of cases, each beside the rivals ``names`` (None: all that are installed).

    ``report(done, total, case)`` is called before each, and once after the last with None.
    """
    facts, found = machine.facts(names), []
    for case in cases:
        if report:
            report(len(found), len(cases), case)
        compare = comparing.compare if len(case) == 4 else rows.comparison
        found.append(compare(*case, names=names, seconds=seconds, strict=False))
    if report:
        report(len(found), len(cases), None)
    return Run(facts, seconds, found)


def read(path):
    """The Run that was saved in a file. OSError if it cannot be read, RunError if it holds something else."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        document = json.loads(data)
    except ValueError as error:  # also what is not UTF-8
        raise RunError(f"{path}: not a saved run: it is no JSON ({error})") from error
    except RecursionError as error:
        raise RunError(f"{path}: not a saved run: its JSON is nested too deeply") from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise RunError(f"{path}: not a saved run of `fastloss bench --json`: it does not say that it is of the kind {KIND!r}")
    if document.get("schema") != SCHEMA:
        raise RunError(f"{path}: a saved run of schema {document.get('schema')!r}; this fastloss reads {SCHEMA}")
    try:
        comparisons = [Comparison.from_dict(fields) for fields in document["comparisons"]]
        run = Run(dict(document["machine"]), float(document["seconds"]), comparisons)
        if not comparisons:
            raise ValueError("it holds no comparison")
        if len(run.cases) < len(comparisons):
            raise ValueError("a case is there twice")
        if not 0.0 <= run.seconds <= LONGEST:
            raise ValueError(f"comparisons of {run.seconds!r} seconds, which must be from 0 to {LONGEST:g}")
        same_machine(run, run)
        machine.sentence(run.machine)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise RunError(f"{path}: this saved run is damaged: {type(error).__name__}: {error}") from error
    return run


def same_machine(one, other):
    """Whether two runs were on the same kind of machine with as many threads, so that absolute times may be compared."""
    return all(one.machine[key] == other.machine[key] for key in ("processor", "cpus", "threads", "system"))


class Change:
    """What became of one case from an old to a new run: ratios of our least times, above 1 for slower; ``same``: of the same machine.

    absolute  new seconds / old seconds
    relative  the same of both over the roofline of their run; None if one run has no roofline
    ratio     what decides, or None if nothing can. A machine that others use too is at times slower as a whole, and then only
              ``absolute`` rises; or its roofline alone was measured in a lucky moment, and then only ``relative`` does. Code that became
              slower shows in both: the smaller of the two decides: no false alarms, at the price that a new roofline that was disturbed
              can hide a slowdown; both columns are shown, and a run on a busy machine says so. Of different machines absolute times say
              nothing, and ``relative`` alone decides; where there is none, the case cannot be compared.
    """

    def __init__(self, old, new, same):
        self.case, self.old, self.new = old.case, old, new
        self.absolute = new.seconds / old.seconds
        rooflines = old.roofline, new.roofline
        self.relative = None if None in rooflines else self.absolute * old.roofline / new.roofline
        deciding = [ratio for ratio in (self.absolute if same else None, self.relative) if ratio is not None]
        self.ratio, self._fastest = min(deciding, default=None), max(deciding, default=None)

    def verdict(self, threshold):
        """ "slower", "faster" or "" for a change within the threshold; "not comparable"."""
        if self.ratio is None:
            return "not comparable"
        if self.ratio > threshold:
            return "slower"
        return "faster" if self._fastest < 1.0 / threshold else ""


def changes(old, new):
    """(Changes of the cases that both runs have, cases only in the old, cases only in the new)."""
    before, after, same = old.cases, new.cases, same_machine(old, new)
    both = [Change(before[case], after[case], same) for case in after if case in before]
    return both, [case for case in before if case not in after], [case for case in after if case not in before]


def bytes_needed(case, names):
    """Roughly what a comparison takes: the data, a buffer per output and rival, and the temporaries of one rival at a time."""
    loss, output, dtype, n, *classes = case
    size = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}[dtype]
    outputs = len([part for part in output.split("_") if part != "cost"])
    compared = 6 if names is None else len(names)
    if classes:
        compared = compared and 3 * (loss == rows.LOSS)
        return math.ceil(n * classes[0] * size * (3 + 2 * outputs + compared * max(outputs, 1)))
    return math.ceil(n * size * (2 + 2 * outputs + compared * max(outputs, 1) + 4 * bool(compared)))
