"""Which columns are the target and the prediction, where nobody said."""

from fastloss.evaluation import columns
from fastloss.evaluation.errors import SourceError
from fastloss.evaluation.plan import expand
from fastloss.evaluation.source import open_source

# what people name them, the surest first; compared in lower case, with - and blanks as _
TARGETS = ("y", "target", "y_true", "label", "labels", "actual", "truth", "ground_truth", "true", "observed", "class", "y_test", "outcome")
PREDICTIONS = (
    "p", "prediction", "predictions", "pred", "preds", "y_pred", "y_hat", "yhat", "predicted", "probability", "prob", "proba", "y_prob",
    "y_proba", "score", "scores", "y_score", "logit", "logits", "output", "forecast", "fitted", "z",
)  # fmt: skip
ROWS = ("logit_", "logits_", "p_", "prob_", "proba_", "probability_", "score_", "scores_", "pred_", "class_")


def guess(paths, target, prediction):
    """({role: name}, notes); SourceError if one is not given and cannot be told."""
    notes = []
    if target is None or prediction is None:
        files = expand(paths)
        if not files:
            raise SourceError("no file is given whose columns could be guessed; name target and prediction (-t, -p)")
        source = open_source(files[0])
        names, given, asked = list(source.names), prediction, {"target": target, "prediction": prediction}
        taken = [name for name in (target, prediction) if isinstance(name, str)]
        plain = {name.lower().replace("-", "_").replace(" ", "_"): name for name in reversed(names) if name not in taken}
        if prediction is None:
            prediction = next((plain[name] for name in PREDICTIONS if name in plain), None) or rows_of(names)
        if target is None:
            target = next((plain[name] for name in TARGETS if name in plain), None)
        if len(names) == 2 and (target is None or prediction is None):
            rest = [name for name in names if name not in (target, prediction)]
            target, prediction = target or rest.pop(0), prediction or rest.pop(0)
        for name, found in (("target", target), ("prediction", prediction)):
            if found is None:
                dash = name[0]
                shown = columns.shown(names)
                raise SourceError(f"{source.path}: which column is the {name}? name it: {name}=... (--{name}, -{dash}); it has {shown}")
        guessed_rows = given is None and prediction.endswith("_*") and prediction not in names
        if guessed_rows and target in names and source.column(target).kind != "text":
            prediction = [name for name in names if name.startswith(prediction[:-1]) and name != target]
            notes.append(f"classes 0 to {len(prediction) - 1} are the columns as the file has them: {columns.shown(prediction)}")
        taken = [f"{role} {name!r}" for role, name in (("target", target), ("prediction", prediction)) if asked[role] is None]
        notes.append(f"{' and '.join(taken)} {'were taken by their names' if len(taken) > 1 else 'was taken by its name'}")
    return {"y_true": target, "y_pred": prediction}, notes


def rows_of(names):
    """A pattern of columns that are the scores of classes, or None."""
    for prefix in ROWS:
        if sum(name.startswith(prefix) for name in names) > 1:
            return f"{prefix}*"
    return None
