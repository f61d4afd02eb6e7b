"""What does not fit a loss: its domains, from the registry, and what it takes for a score."""

from dataclasses import dataclass, field

from fastloss.evaluation.advice.facts import NEARLY
from fastloss.losses import find
from fastloss.losses.rowspec import LABELS
from fastloss.losses.spec import Interval, Labels

# losses that people reach for, by task: these are warned of even if nobody named them
USUAL = {
    "binary": ("log_loss", "logistic", "hinge", "squared_error"),
    "proportion": ("log_loss",),
    "counts": ("poisson_deviance", "absolute_percentage_error", "squared_error"),
    "amounts": ("gamma_deviance", "absolute_percentage_error", "squared_log_error", "squared_error"),
    "regression": ("squared_error", "absolute_percentage_error"),
    "multiclass": ("multiclass_log_loss", "softmax_cross_entropy"),
    "one-hot": ("multiclass_log_loss", "softmax_cross_entropy"),
    "multilabel": ("multilabel_logistic",),
    "distributions": ("kl_divergence",),
}
SQUARES = ("squared_error", "half_squared_error", "root_mean_squared_error", "expectile")
LOGS = ("poisson_loss", "gamma_loss", "tweedie_loss")
LOGITS = ("logistic", "exponential", "soft_margin", "hinge", "squared_hinge", "perceptron", "focal")
PROBABILITIES = {"logistic": "log_loss", "focal": "focal_probability"}


@dataclass(frozen=True)
class Misfit:
    """about: a loss, or "target", "prediction", "data"; text: what does not fit; remedy, or ""; evidence: {name: number}."""

    about: str
    text: str
    remedy: str = ""
    evidence: dict = field(default_factory=dict)


def misfits(loss, facts, parameters=None):
    """The Misfits of a loss, given by its registry name, and the values of its parameters that are not the defaults' (or all of them)."""
    definition, parameters = find(loss), parameters or {}
    made = []
    if facts.task == "none":
        return made
    if definition.rows != facts.rows:
        found = f"rows of {facts.width} scores" if facts.rows else "one number per row"
        needs = "a row of C scores per target" if definition.rows else "one prediction per target"
        return [Misfit(loss, f"takes {needs}, and the prediction is {found}")]
    return made + (row_misfits if facts.rows else single_misfits)(loss, definition, facts, parameters)


def single_misfits(loss, definition, facts, parameters):
    made = []
    if facts.words:
        pass  # said once, of the target
    elif not (facts.labels == "bool" and isinstance(definition.target, Labels)):
        made += outside(loss, "target", definition.target, facts.y, facts.known, facts)
    made += outside(loss, "prediction", definition.prediction, facts.p, facts.predicted, facts)
    p, y, t = facts.p, facts.y, facts.tails
    if facts.task == "binary" and loss in LOGITS and facts.scores in ("probability", "hard"):
        remedy = f"use {PROBABILITIES.get(loss, 'log_loss')}, or give the logits" if facts.scores == "probability" else "use zero_one"
        between = f"takes scores of any size, and all predictions lie between {p.min:.4g} and {p.max:.4g}, as probabilities do"
        if p.min < 0 or p.max > 1:
            between = f"takes scores of any size, and predictions are {p.min:.4g} and {p.max:.4g} alone, decisions and no scores"
        made.append(Misfit(loss, between, remedy, {"min": p.min, "max": p.max}))
    if facts.task == "binary" and loss in SQUARES and facts.scores in ("logit", "score", "percent"):
        remedy = "divide them by 100" if facts.scores == "percent" else "use logistic for logits"
        made.append(Misfit(loss, f"compares labels with predictions from {p.min:.4g} to {p.max:.4g}, which are no probabilities", remedy,
                           {"min": p.min, "max": p.max}))  # fmt: skip
    if loss == "log_loss" and facts.n_certain_wrong and not parameters.get("clip"):
        made.append(Misfit(loss, f"is infinite: {facts.n_certain_wrong} predictions of exactly 0 or 1 are wrong",
                           "log_loss:clip=sklearn clips them; brier is bounded", {"certain_and_wrong": facts.n_certain_wrong}))  # fmt: skip
    heavy = t is not None and t.level in ("heavy", "very heavy")
    if heavy and loss in SQUARES and facts.task not in ("binary", "classes"):
        made.append(Misfit(
            loss, f"is decided by few rows: residuals of tail weight {t.weight:.3g} (1: normal); the {t.far_share:.2%} that are far "
            f"outliers make {t.carried:.1%} of it", "huber or absolute_error; or look at these rows: fastloss eval --worst",
            {"tail_weight": t.weight, "far_share": t.far_share, "far_part_of_squared_error": t.carried},
        ))  # fmt: skip
    if loss == "absolute_percentage_error" and y.n_zero:
        made.append(Misfit(loss, f"divides by the target, and {y.n_zero} of {y.n} targets are 0: these rows decide it",
                           "symmetric_absolute_percentage_error, or absolute_error", {"zeros": y.n_zero}))  # fmt: skip
    if definition.family == "counts" and facts.task not in ("none",) and y.n:
        if loss.startswith("poisson") and y.n_whole < y.n * NEARLY:
            made.append(Misfit(loss, f"is the likelihood of counts, and {y.n - y.n_whole} of {y.n} targets are no whole numbers",
                               "", {"not_whole": y.n - y.n_whole}))  # fmt: skip
        if loss in LOGS and facts.scores == "mean" and p.n_negative == 0:
            made.append(Misfit(loss, f"takes logarithms of means, and predictions (mean {p.mean:.4g}) look like means (of targets: "
                               f"{y.mean:.4g})", loss.replace("_loss", "_deviance"), {"prediction": p.mean, "target": y.mean}))  # fmt: skip
    return made


def outside(loss, what, domain, column, values, facts):
    """A Misfit if numbers lie outside a domain."""
    if not column.n:
        return []
    allowed = f"takes a {what} that is {domain}"
    if isinstance(domain, Labels):
        wrong = None if values is None else [value for value in values if value not in domain]
        if wrong == []:
            return []
        found = "more than two values" if wrong is None or len(wrong) > 5 else ", ".join(f"{value:g}" for value in wrong)
        remedy = ""
        if facts.task == "binary":
            remedy = "with positive=... (--positive LABEL)"
            remedy = "with positive=1 (--positive 1), or 2 * y - 1" if facts.labels == "{0, 1}" else remedy
        return [Misfit(loss, f"{allowed}, and there is {found}", remedy, {"min": column.min, "max": column.max})]
    if not isinstance(domain, Interval) or (column.min in domain and column.max in domain):
        return []
    counts = {"below_0": column.n_negative, "zeros": column.n_zero if 0.0 not in domain else 0,
              "above_1": column.n_above_one if domain.high <= 1 else 0}  # fmt: skip
    seen = ", ".join(f"{count} of {column.n} are {name.replace('_', ' ')}" for name, count in counts.items() if count)
    seen = seen.replace("are zeros", "are 0")
    remedy = ""
    if what == "prediction" and domain.high == 1 and facts.scores == "percent":
        remedy = "they look like percentages: divide them by 100"
    elif what == "prediction" and domain.high == 1 and facts.task == "binary" and facts.scores in ("logit", "score"):
        remedy = "they look like logits: use logistic"
    elif what == "prediction" and domain.low == 0 and facts.task == "counts":
        remedy = "predict through a logarithm (poisson_loss takes it), or lift them to a small positive number"
    elif what == "target" and domain.high == 1 and facts.task == "binary":
        remedy = "with positive=... (--positive LABEL)"
    text = f"{allowed}, and it reaches from {column.min:.4g} to {column.max:.4g}{': ' + seen if seen else ''}"
    return [Misfit(loss, text, remedy, {"min": column.min, "max": column.max, **{k: v for k, v in counts.items() if v}})]


def row_misfits(loss, definition, facts, parameters):
    made, p = [], facts.p_rows
    good = p.n - p.n_bad
    labels = facts.y is not None
    takes_labels = definition.target is LABELS
    if takes_labels != labels:
        needs = "one label per row" if takes_labels else "a target per class"
        remedy = "give the labels as one column" if facts.task == "one-hot" else ""
        return [Misfit(loss, f"takes {needs}, and the target is {'one label per row' if labels else 'a row'}", remedy)]
    unit = definition.prediction.low == 0 and definition.family != "multilabel"
    bounds = {"min": p.min, "max": p.max}
    if unit and good and p.n_negative:
        remedy = {"logit": "they look like logits: use softmax_cross_entropy", "log-probability": "they are log-probabilities: use nll"}
        made.append(Misfit(loss, f"takes probabilities, and {p.n_negative} scores are negative (least {p.min:.4g})",
                           remedy.get(facts.scores, ""), bounds))  # fmt: skip
    elif unit and good and p.n_sum_one < good and not parameters.get("normalize"):
        sums, wrong = facts.sums, good - p.n_sum_one
        made.append(Misfit(
            loss, f"takes probabilities, and {wrong} of {good} rows do not sum to 1: sums reach from {sums.min:.4g} to {sums.max:.4g}",
            "normalise them (multiclass_log_loss:normalize=true), or find the class that is missing; sum_tolerance=1e-3 refuses such rows",
            {"rows": wrong, "min": sums.min, "max": sums.max},
        ))  # fmt: skip
    if definition.prediction.low < 0 and definition.family == "multiclass" and facts.scores == "probability" and good and not decides(loss):
        if loss == "negative_log_likelihood":
            text = f"takes log-probabilities, and rows sum to 1 with scores from {p.min:.4g} to {p.max:.4g}"
        else:
            text = "takes logits, and rows sum to 1: softmax would be applied to probabilities"
        made.append(Misfit(loss, text, "use multiclass_log_loss or multiclass_brier", bounds))
    if loss == "negative_log_likelihood" and facts.scores in ("logit", "unnormalised"):
        text = "takes log-probabilities, and exponentials of the rows do not sum to 1"
        made.append(Misfit(loss, text, "use softmax_cross_entropy", bounds))
    if facts.y_rows is not None:
        y = facts.y_rows
        there = y.n - y.n_bad
        if isinstance(definition.target, Labels) and there > y.n_zero_one:
            wrong = there - y.n_zero_one
            text = f"takes targets that are {definition.target}, and {wrong} of {there} rows hold others"
            made.append(Misfit(loss, text, "", {"rows": wrong}))
        if isinstance(definition.target, Interval) and there and not (y.min in definition.target and y.max in definition.target):
            made.append(Misfit(loss, f"takes targets that are {definition.target}, and they reach from {y.min:.4g} to {y.max:.4g}", "",
                               {"min": y.min, "max": y.max}))  # fmt: skip
        if "y_true" in definition.sums and there > y.n_sum_one:
            made.append(Misfit(loss, f"takes distributions, and {there - y.n_sum_one} of {there} target rows do not sum to 1", "",
                               {"rows": there - y.n_sum_one}))  # fmt: skip
    return made


def decides(loss):
    """Losses of the order of the scores alone, which any scores do for."""
    return loss in ("multiclass_error", "top_k_error")
