"""What an evaluation answers besides costs, in terms of files."""

import fastloss as fl
from fastloss.evaluation.errors import DataError, RequestError, SourceError
from fastloss.evaluation.segmented import Segmented
from fastloss.evaluation.segments import KINDS, REMEDY
from fastloss.evaluation.source import path_of

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
WORST = 10  # samples in a report
IF_IT_CAN = "if it can"  # a calibration that is left out, with a note, rather than refused
BYTES = {"state": fl.State, "analysis": fl.Analysis, "calibration": fl.Calibration}
LOGITS = ("logistic", "softmax_cross_entropy")  # of whose predictions probabilities are made


def answers(analysis, paths):
    """{field of an Evaluation: what an Analysis found}. paths: by the numbers of files."""
    if analysis is None:
        return {}
    worst = analysis.worst
    for sample in [sample for samples in (worst or {}).values() for sample in samples]:
        if isinstance(sample.file, int):  # losses that share a kernel share the samples
            sample.file = paths[sample.file]
    fields = {name: getattr(analysis, name) for name in ("segments", "spread", "bootstrap", "series")}
    return fields | {"worst": worst}


def of_report(state, spread, worst, calibration):
    """(spread, worst, calibration) of a report: what was asked for, and what else these losses allow."""
    single = not any(loss.definition.terms for loss in state.losses)
    return spread or single, worst or WORST * single, IF_IT_CAN if calibration is False or calibration is None else calibration


class Account:
    """What the chunks of a run, or of one of its files, are counted into: a State, and beside it what else was asked for.

    make         makes the State
    by, most     as in Segmented
    calibration  as in Confidence
    asked        arguments of fl.Analysis, and ``report``: what a report needs comes besides
    output       an Output (outputs.py) that takes the losses of each chunk, or None
    """

    output = None

    def __init__(self, make, by, most, calibration, asked):
        self.given, self.state, self.analysis = (make, by, most, calibration, asked), make(), None
        asked = {name: value for name, value in asked.items() if name != "report"} | {"series": asked["report"]}
        if asked["series"]:
            asked["spread"], asked["worst"], calibration = of_report(self.state, asked["spread"], asked["worst"], calibration)
        self.segments = Segmented(by, most)
        if self.segments.names or asked["spread"] or asked["worst"] or asked["bootstrap"] or asked["series"]:
            try:
                self.analysis = fl.Analysis(self.state, segments=self.segments.most * bool(self.segments.names), **asked)
            except ValueError as error:
                raise SourceError(str(error)) from error
        self.sure = Confidence(calibration, self.state)

    def another(self):
        """An empty one for the next file, to be merged."""
        made = Account(*self.given)
        made.segments.follow(self.segments)
        return made

    def update(self, task, chunk, source, wants, number, before, n_threads):
        """Take a chunk of file ``number``, which has ``before`` rows in files before it; returns the arguments of State.update."""
        chunk, found = self.segments.split(chunk, source)
        arguments, missing = task.update(self.state, chunk, source, wants, n_threads)
        if self.analysis is not None:
            place = {"file": number, "row": chunk.first, "position": before + chunk.first}
            try:
                self.analysis.update(**arguments, **(missing or {}), **found, **place, n_threads=n_threads)
            except ValueError as error:  # what is resumed has segments of before, too
                raise self.too_many() from error
        self.sure.update(arguments, source, wants, chunk, n_threads)
        if self.output is not None:
            self.output.add(source.path, chunk.first, arguments, missing, chunk.rows, n_threads)
        return arguments

    def merge(self, other):
        """Add another of the same questions. RequestError if there are more segments together than there may be; SourceError if columns of
        segments are not of one kind."""
        self.sure.agree(other.sure)
        self._add(other.state, other.analysis, other.sure.calibration, other.segments.kinds)

    def _add(self, state, analysis, calibration, kinds):
        self.segments.agree(kinds)
        self.state.merge(state)
        if self.analysis is not None:
            try:
                self.analysis.merge(analysis)
            except ValueError as error:  # each may have as many as the run
                raise self.too_many() from error
        if self.sure.calibration is not None:
            self.sure.calibration.merge(calibration)

    def too_many(self):
        return RequestError(f"the files have together more than {self.segments.most} segments; {REMEDY}")

    def fields(self):
        """What was counted, as JSON."""
        parts = {"state": self.state, "analysis": self.analysis, "calibration": self.sure.calibration}
        return {name: part and part.to_bytes().decode("ascii") for name, part in parts.items()} | {"kinds": self.segments.kinds}

    def add_fields(self, fields):
        """Add what ``fields`` told, of an Account of the same questions, and return of how many rows that is. ValueError if it is no such
        thing; else as merge."""
        found = {name: fields[name] and kind.from_bytes(fields[name].encode("ascii")) for name, kind in BYTES.items()}
        own = {"state": self.state, "analysis": self.analysis, "calibration": self.sure.calibration}
        if any((found[name] is None) != (own[name] is None) for name in own) or not set(fields["kinds"]) <= set(self.segments.names):
            raise ValueError("it answers something else than was asked")
        kinds = {name: (kind, path) for name, (kind, path) in fields["kinds"].items()}
        if not all(kind in KINDS and isinstance(path, str) for kind, path in kinds.values()):
            raise ValueError("columns of segments are of no known kinds")
        if self.analysis is not None and found["analysis"].asked != self.analysis.asked:
            raise ValueError("it answers something else than was asked")
        if [loss.spec for loss in found["state"].losses] != [loss.spec for loss in self.state.losses] or found[
            "state"
        ].nan != self.state.nan:
            raise ValueError("it is of other losses")
        self._add(*found.values(), kinds)
        return found["state"].n


class Confidence:
    """The Calibration of a run, if there is to be one. SourceError if these are losses of no probabilities, or do not agree on which.
    notes: why there is none where there should be one if it can."""

    def __init__(self, wanted, state):
        self.calibration, self.lenient, self.notes = None, wanted == IF_IT_CAN, []
        if wanted is False or wanted is None:
            return
        kinds = {kind(loss) for loss in state._computed}
        if self.lenient:
            wanted, kinds = True, kinds - {None}  # what losses of probabilities say of predictions holds for them beside others
            if len(kinds) != 1:
                return
        if len(kinds) > 1 or None in kinds:
            what = "`calibration` is of losses of probabilities, as log_loss and brier, or of logistic, or of cross_entropy"
            raise SourceError(f"{what}, alike in what they ignore; not of {', '.join(state.names)}")
        ((logits, ignore_index),) = kinds
        try:
            self.calibration = fl.Calibration(
                15 if wanted is True else wanted, from_logits=logits, ignore_index=ignore_index,
                nan="skip" if state.nan == "skip" else "propagate",
            )  # fmt: skip
        except (TypeError, ValueError) as error:
            raise SourceError(f"`calibration`: {error}") from error

    def update(self, arguments, source, wants, chunk, n_threads):
        if self.calibration is None:
            return
        try:
            self.calibration.update(**arguments, n_threads=n_threads)
        except fl.InputError as error:
            if self.lenient:
                self.calibration = None
                self.notes.append(f"no calibration: `{error.argument}` of it must be {error.allowed}, got {error.value!r}")
                return
            row = error.index[0] if isinstance(error.index, tuple) else error.index
            name = next(want.name for want in wants if want.role == error.argument)
            message = f"column {name!r} of calibration must be {error.allowed}, got {error.value!r}"
            place = None if len(arguments["y_true"]) < chunk.rows else chunk.first + row
            raise DataError(message, path_of(source, name), place, name) from error

    def agree(self, other):
        """One that could not be is none of the whole."""
        self.notes += [note for note in other.notes if note not in self.notes]
        if other.calibration is None:
            self.calibration = None

    def result(self):
        if self.calibration is None:
            return None
        try:
            return self.calibration.compute()
        except ValueError as error:
            if self.lenient:
                return None
            raise DataError(str(error)) from error


def kind(loss):
    """(are its predictions logits, which label it ignores) of a loss whose predictions are, or make, probabilities; else None."""
    domain = loss.definition.prediction
    logits = loss.definition.name in LOGITS
    if loss.definition.terms or (loss.definition.rows and not loss.labels) or not (logits or (domain.low, domain.high) == (0.0, 1.0)):
        return None
    return logits, loss.ignore_index if loss.definition.rows else None
