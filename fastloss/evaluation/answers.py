"""What an evaluation answers besides costs, in terms of files."""

import fastloss as fl
from fastloss.evaluation.errors import DataError, SourceError
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
