"""What an evaluation answers besides costs, in terms of files."""

import fastloss as fl
from fastloss.evaluation.errors import DataError, RequestError, SourceError
from fastloss.evaluation.segments import REMEDY, Segmented
from fastloss.evaluation.source import path_of

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
WORST = 10  # samples in a report
IF_IT_CAN = "if it can"  # a calibration that is left out, with a note, rather than refused
LOGITS = ("logistic", "softmax_cross_entropy")  # of whose predictions probabilities are made


def answers(analysis, parts):
    """{field of an Evaluation: what an Analysis found}. parts: (Source, wants) by the numbers of files."""
    if analysis is None:
        return {}
    worst = analysis.worst
    for sample in [sample for samples in (worst or {}).values() for sample in samples]:
        if isinstance(sample.file, int):  # losses that share a kernel share the samples
            sample.file = parts[sample.file][0].path
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
    """

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
            self.analysis.update(**arguments, **(missing or {}), **found, **place, n_threads=n_threads)
        self.sure.update(arguments, source, wants, chunk, n_threads)
        return arguments

    def merge(self, other):
        """Add another of the same questions. RequestError if there are more segments together than there may be."""
        self.state.merge(other.state)
        if self.analysis is not None:
            try:
                self.analysis.merge(other.analysis)
            except ValueError as error:  # each may have as many as the run
                raise RequestError(f"the files have together more than {self.segments.most} segments; {REMEDY}") from error
        self.sure.merge(other.sure)
        self.segments.follow(other.segments)


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

    def merge(self, other):
        self.notes += [note for note in other.notes if note not in self.notes]
        if self.calibration is None or other.calibration is None:  # one that could not be is none of the whole
            self.calibration = None
        else:
            self.calibration.merge(other.calibration)

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
