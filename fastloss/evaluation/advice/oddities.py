"""What is odd in the data itself, whatever the loss."""

import math

from fastloss.evaluation.advice.facts import RARE
from fastloss.evaluation.advice.misfits import Misfit
from fastloss.evaluation.advice.tails import SHIFTED, SURE


def oddities(facts):
    """Misfits of the data itself."""
    made = []
    if facts.task == "none":
        return [Misfit("data", "no row has a finite target and a finite prediction", "", {"rows": facts.n})]
    if facts.rows:
        return row_oddities(facts)
    y, p = facts.y, facts.p
    if facts.swapped:
        values = " and ".join(f"{value:g}" for value in sorted(facts.predicted))
        text = f"predictions are {values} alone and targets many real numbers: are target and prediction swapped?"
        made.append(Misfit("data", text, "swap -t and -p", {"predicted_values": sorted(facts.predicted)}))
    made += lost("target", y) + lost("prediction", p)
    if p.min == p.max and facts.n > 1:
        made.append(Misfit("prediction", f"all predictions are {p.min:.6g}: no loss tells anything but the target's spread", "",
                           {"value": p.min}))  # fmt: skip
    if y.n and y.min == y.max and y.n > 1 and not facts.words:
        made.append(Misfit("target", f"all targets are {y.min:.6g}", "", {"value": y.min}))
    if facts.task == "classes":
        count = "more than can be listed" if facts.known is None else len(facts.known)
        made.append(Misfit("data", f"the target has {count} labels, and the prediction is one number per row",
                           "give a score per class: -p 'score_*' or a,b,c; if they are counts, nothing is wrong"))  # fmt: skip
    if facts.words and facts.task == "binary":
        made.append(Misfit("target", "the target is text, and losses of one number per row take numbers",
                           "name the positive label: positive=... (--positive)"))  # fmt: skip
    if facts.task == "binary":
        made += binary_oddities(facts)
    elif facts.e.n and y.n and facts.task in ("regression", "amounts"):
        made += regression_oddities(facts)
    return made


def binary_oddities(facts):
    made, p = [], facts.p
    if len(facts.known) == 1:
        made.append(Misfit("target", f"there is one class alone, {next(iter(facts.known))!r}", "", {"classes": 1}))
    elif facts.rarer < RARE:
        text = f"classes are unbalanced: the rarer has {facts.rarer:.3%} {facts.of}, and a share of right decisions says little"
        made.append(Misfit("target", text, "judge by log_loss or brier, or by class: fastloss eval --by", {"rarer_class": facts.rarer}))
    if facts.scores == "percent":
        text = f"predictions from {p.min:.4g} to {p.max:.4g} look like percentages, and losses take probabilities"
        made.append(Misfit("prediction", text, "divide them by 100", {"min": p.min, "max": p.max}))
    means = [mean for _, mean in facts.known.values() if mean is not None]
    if facts.labels in ("{0, 1}", "{-1, 1}", "bool") and len(means) == 2 and means[1] < means[0]:
        text = f"the mean prediction of the positive class, {means[1]:.4g}, is below that of the negative, {means[0]:.4g}"
        remedy = "are they predictions of the other class?"
        made.append(Misfit("prediction", text, remedy, {"positive": means[1], "negative": means[0]}))
    return made


def regression_oddities(facts):
    made, t = [], facts.tails
    y, e = facts.y.weighted or facts.y, facts.e.weighted or facts.e
    if y.std and e.std**2 + e.mean**2 > y.std**2 and facts.p.min < facts.p.max:
        part = (e.std**2 + e.mean**2) / y.std**2
        text = f"the squared error is {part:.4g} times the target's variance: the mean of the targets predicts better"
        made.append(Misfit("prediction", text, "are rows, units or columns mixed up?", {"squared_error_over_variance": part}))
    if facts.task == "regression" and t is not None and not SHIFTED <= t.covered <= 1 - SHIFTED:
        text = f"{t.covered:.1%} of the targets are not above their prediction: it is biased, or no prediction of a centre"
        remedy = "pinball, if it is meant as a quantile"
        made.append(Misfit("prediction", text, remedy, {"covered": t.covered, "median_residual": t.median}))
    return made


def lost(what, column):
    """Misfits of missing values, NaN and infinities."""
    made = []
    for name, text in (("n_null", "missing"), ("n_nan", "NaN"), ("n_inf", "infinite")):
        count = getattr(column, name)
        if count:
            remedy = "" if text == "infinite" else 'nan="skip" (--nan skip) leaves these rows out'
            made.append(Misfit(what, f"{count} values are {text}", remedy, {text.lower(): count}))
    return made


def row_oddities(facts):
    p, made = facts.p_rows, []
    good = p.n - p.n_bad
    if p.n_bad:
        made.append(Misfit("prediction", f"{p.n_bad} of {p.n} rows hold a missing, NaN or infinite score", "", {"rows": p.n_bad}))
    if facts.y is None:
        return made
    made += lost("target", facts.y)
    if facts.n_outside:
        reason = f"{facts.n_outside} labels are not classes 0 to {facts.width - 1}"
        one = facts.known is not None and set(facts.known) <= set(range(1, facts.width + 1))
        remedy = "list the labels: classes=[...] (--classes a,b,c)"
        remedy = f"they count from 1: subtract 1, or {remedy}" if one else remedy
        evidence = {"labels_outside": facts.n_outside, "right_if_from_1": facts.n_hit_one / max(1, good)}
        made.append(Misfit("target", reason, remedy, evidence))
    elif good and facts.n_hit < good / facts.width - SURE * math.sqrt(good * (facts.width - 1)) / facts.width:
        text = f"the largest score is right in {facts.n_hit / good:.1%} of the rows, less than chance (1 of {facts.width})"
        made.append(Misfit("prediction", text, "are the columns in the order of the classes?", {"right": facts.n_hit / good}))
    if facts.known and not facts.n_outside and facts.rarer < RARE / facts.width:
        made.append(Misfit("target", f"classes are unbalanced: the rarest has {facts.rarer:.3%} {facts.of}", "costs by class: --per-class",
                           {"rarest_class": facts.rarer}))  # fmt: skip
    return made
