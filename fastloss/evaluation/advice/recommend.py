"""Which losses fit, the best first, why, and by which numbers."""

import math
from dataclasses import dataclass, field, replace

from fastloss.evaluation.advice.facts import RARE
from fastloss.evaluation.advice.tails import SHIFTED

# name: what it is chosen for. A test holds that each is in the registry.
REASONS = {
    "squared_error": "is least for the conditional mean, and the most precise estimate of it where residuals are about normal",
    "root_mean_squared_error": "is the squared error in the target's unit",
    "absolute_error": "is least for the conditional median; no residual counts more than its size",
    "huber": "is quadratic for ordinary residuals and linear for outliers; delta = 1.345 sigma keeps 95 % of the mean's precision",
    "pseudo_huber": "is huber, smoothly",
    "pinball": "is least for the quantile that the predictions seem to be",
    "log_loss": "is proper, so that only the true probabilities make it least, and takes probabilities",
    "brier": "is proper and bounded: no single row decides it",
    "focal_probability": "lets easy rows of the frequent class weigh less; it is not proper",
    "logistic": "is the log loss of logits, without a loss of digits",
    "focal": "lets easy rows of the frequent class weigh less; it is not proper, and takes logits",
    "soft_margin": "is the log loss of logits for labels -1 and 1",
    "hinge": "is the loss of support vector machines: it asks for a margin, and takes labels -1 and 1",
    "zero_one": "is the share of wrong decisions",
    "poisson_deviance": "is the likelihood of counts, and takes means",
    "poisson_loss": "is the likelihood of counts, and takes logarithms of means",
    "tweedie_deviance": "is the likelihood of amounts of which some are exactly 0",
    "gamma_deviance": "is the likelihood of amounts whose spread grows with their size",
    "squared_log_error": "compares sizes by their ratio, and lets 0 be",
    "symmetric_absolute_percentage_error": "compares errors with sizes, and is bounded where a target is 0",
    "absolute_percentage_error": "is the error in parts of the target",
    "softmax_cross_entropy": "is the log loss of rows of logits, and proper",
    "multiclass_log_loss": "is proper, and takes rows of probabilities",
    "negative_log_likelihood": "is the same log loss, from rows of log-probabilities",
    "multiclass_brier": "is proper and bounded, and takes rows of probabilities",
    "softmax_brier": "is proper and bounded, and takes logits",
    "crammer_singer": "asks for a margin between the right class and the best wrong one",
    "multiclass_error": "is the share of rows whose largest score is not the right class",
    "top_k_error": "is the share of rows whose right class is not among the k largest",
    "soft_label_cross_entropy": "is the cross-entropy of a target per class, and takes logits",
    "kl_divergence": "measures between distributions, and takes probabilities",
    "kl_divergence_with_log_probs": "measures between distributions, and takes log-probabilities",
    "jensen_shannon_divergence": "measures between distributions symmetrically, and is bounded where one of them has a 0",
    "total_variation": "is the largest difference in the probability of any event",
    "multilabel_logistic": "is the log loss of each label by itself, and takes logits",
}
MANY_CLASSES = 10  # from here on the right class among the first few is of use


@dataclass(frozen=True)
class Recommendation:
    """A loss that fits: loss (as fl.get takes it), reason, because (what was found, in words), evidence ({name: number}), how: what the
    target or the prediction needs first, or ""."""

    loss: str
    reason: str
    because: str
    evidence: dict = field(default_factory=dict)
    how: str = ""


def recommend(facts):
    """A list of Recommendations, the best first."""
    made = {
        "binary": binary, "proportion": proportion, "counts": counts, "amounts": amounts, "regression": regression,
        "classes": classes, "multiclass": multiclass, "one-hot": one_hot, "multilabel": multilabel, "distributions": distributions,
    }.get(facts.task)  # fmt: skip
    return [] if made is None or getattr(facts, "swapped", False) else made(facts)


def found(loss, because, evidence=None, how="", parameters=""):
    return Recommendation(loss + parameters, REASONS[loss], because, evidence or {}, how)


def binary(facts):
    p, evidence = facts.p, {"min": facts.p.min, "max": facts.p.max, "rarer_class": facts.rarer}
    how = {"{0, 1}": "", "bool": ""}.get(facts.labels, positive_of(facts))
    rare = facts.rarer < RARE
    balance = f"the rarer class has {facts.rarer:.2%} {facts.of}"
    if facts.scores in ("probability", "percent"):
        between = f"predictions lie between {p.min:.4g} and {p.max:.4g}"
        how += "; divide the predictions by 100" * (facts.scores == "percent")
        how = how.lstrip("; ")
        log = found("log_loss", between, evidence, how)
        brier = found("brier", between, evidence, how)
        certain = {"certain_and_wrong": facts.n_certain_wrong}
        wrong = f"{facts.n_certain_wrong} predictions are certain and wrong, where the log loss is infinite"
        first = [found("brier", wrong, certain, how), log] if facts.n_certain_wrong else [log, brier]
        threshold = f":threshold={50 if facts.scores == 'percent' else 0.5}"
        rest = [found("focal_probability", balance, {"rarer_class": facts.rarer}, how)] if rare else []
        return [*first, *rest, found("zero_one", between, evidence, how.replace("; divide the predictions by 100", ""), threshold)]
    if facts.scores == "hard":
        values = " and ".join(f"{value:g}" for value in facts.predicted)
        middle = sum(facts.predicted) / 2
        return [found("zero_one", f"predictions are {values} alone, decisions and no scores", {"values": sorted(facts.predicted)}, how,
                      f":threshold={middle:g}")]  # fmt: skip
    beyond = f"predictions reach from {p.min:.4g} to {p.max:.4g}, so that they are scores and no probabilities"
    logistic = found("logistic", beyond, evidence, how)
    rest = [found("focal", balance, {"rarer_class": facts.rarer}, how)] if rare else []
    signs = [found(name, "targets are -1 and 1", {"labels": [-1, 1]}) for name in ("soft_margin", "hinge")]
    zero_one = found("zero_one", beyond, evidence, how, ":threshold=0")
    return [*signs, zero_one] if facts.labels == "{-1, 1}" else [logistic, *rest, zero_one]


def positive_of(facts):
    """What makes the target 0 and 1: the label beside which predictions are larger is the positive one."""
    means = {value: mean for value, (_, mean) in facts.known.items() if mean is not None}
    if len(means) < 2:
        return "name the positive label: positive=... (--positive)"
    best = max(means, key=means.get)
    word = best if isinstance(best, str) else f"{best:g}"
    beside = f"the mean prediction there is {means[best]:.4g}, elsewhere {min(means.values()):.4g}"
    return f"with positive={repr(word) if word is best else word} (--positive {word}): {beside}"


def proportion(facts):
    between = f"targets lie between {facts.y.min:.4g} and {facts.y.max:.4g}, predictions between {facts.p.min:.4g} and {facts.p.max:.4g}"
    evidence = {"target": [facts.y.min, facts.y.max], "prediction": [facts.p.min, facts.p.max]}
    log = [found("log_loss", between, evidence, "if both are probabilities")] if not facts.n_certain_wrong else []
    return log + regression(facts)


def counts(facts):
    y, p = facts.y, facts.p
    seen = f"targets are whole numbers from {y.min:g} to {y.max:g}, in the mean {y.mean:.4g}"
    evidence = {"mean": y.mean, "variance": y.std**2, "zeros": y.n_zero, "predictions_not_above_0": p.n_negative + p.n_zero}
    if facts.scores == "log":
        like = f"the mean prediction, {p.mean:.4g}, is like the logarithm of that, {math.log(y.mean):.4g}"
        return [found("poisson_loss", f"{seen}; {like}", evidence)]
    if p.n_negative + p.n_zero:
        below = f"{seen}, but {p.n_negative + p.n_zero} predictions are 0 or less, of which no Poisson mean can be"
        return [found("squared_error", below, evidence), found("absolute_error", below, evidence)]
    if facts.dispersion.n:
        evidence["dispersion"] = (facts.dispersion.weighted or facts.dispersion).mean
        seen += f"; (y - p)**2 / p has the mean {evidence['dispersion']:.3g}, where a Poisson variable has 1"
    return [found("poisson_deviance", seen, evidence), found("squared_error", seen, evidence), found("absolute_error", seen, evidence)]


def classes(facts):
    """Whole numbers that may be counts; text is none."""
    return [] if facts.words else [replace(one, how="if they are counts, and not class numbers") for one in counts(facts)]


def amounts(facts):
    y, p, made = facts.y, facts.p, []
    low, high = y.quantiles[0.05], y.quantiles[0.95]
    span = f"95 % of the targets are below {high:.4g}, 5 % below {low:.4g}"
    evidence = {"q05": low, "q95": high, "zeros": y.n_zero, "predictions_not_above_0": p.n_negative + p.n_zero}
    positive = p.n_negative + p.n_zero == 0
    if y.n_zero and positive:
        made.append(found("tweedie_deviance", f"{y.n_zero} of {y.n} targets are 0, the others above; {span}", evidence,
                          parameters=":power=1.5"))  # fmt: skip
    elif positive:
        made.append(found("gamma_deviance", f"all targets and predictions are above 0; {span}", evidence))
    if p.min > -1:
        made.append(found("squared_log_error", span, evidence))
    if not y.n_zero:
        made.append(found("absolute_percentage_error", f"no target is 0; {span}", evidence))
    return made + regression(facts)


def regression(facts):
    t = facts.tails
    if t is None:
        return [found("squared_error", "no row has both a target and a prediction")] if facts.y.n else []
    if t.weight is None:
        seen = f"the middle half of the residuals is {t.iqr:.4g} wide around {t.median:.4g}: their tails cannot be judged"
        return [found(name, seen, {"iqr": t.iqr, "median": t.median}) for name in ("absolute_error", "squared_error")]
    evidence = {"tail_weight": t.weight, "far_share": t.far_share, "far_part_of_squared_error": t.carried, "sigma": t.sigma}
    far = f"{t.far_share:.2%} of residuals are far outliers, with {t.carried:.1%} of the squared error"
    seen, delta = f"tail weight {t.weight:.3g} (1: normal); {far}", f":delta={1.345 * t.sigma:.3g}"
    robust, smooth = (found(name, seen, evidence, parameters=delta) for name in ("huber", "pseudo_huber"))
    plain = [found("squared_error", seen, evidence), found("root_mean_squared_error", seen, evidence)]
    absolute = found("absolute_error", seen, evidence)
    order = {
        "light": [*plain, robust, absolute], "heavy": [robust, absolute, smooth, plain[0]], "very heavy": [absolute, robust],
    }[t.level]  # fmt: skip
    if facts.task == "regression" and not SHIFTED <= t.covered <= 1 - SHIFTED:
        covered = f"{t.covered:.1%} of the targets are not above their prediction"
        order.insert(0, found("pinball", covered, {"covered": t.covered}, "if the predictions are meant to be this quantile",
                              f":quantile={min(max(t.covered, 0.001), 0.999):.3g}"))  # fmt: skip
    return order


def multiclass(facts):
    p, c = facts.p_rows, facts.width
    good = max(1, p.n - p.n_bad)
    evidence = {"classes": c, "min": p.min, "max": p.max, "rows_that_sum_to_1": p.n_sum_one / good, "right": facts.n_hit / good}
    sums = f"{p.n_sum_one / good:.1%} of the rows of {c} sum to 1, scores lie between {p.min:.4g} and {p.max:.4g}"
    right = f"the largest score is right in {facts.n_hit / good:.1%} of the rows"
    first = {
        "probability": ("multiclass_log_loss", "multiclass_brier"), "log-probability": ("negative_log_likelihood",),
        "logit": ("softmax_cross_entropy", "softmax_brier", "crammer_singer"), "unnormalised": (),
    }[facts.scores]  # fmt: skip
    made = [found(name, sums, evidence) for name in first]
    if facts.scores == "unnormalised":
        made = [found("multiclass_log_loss", sums, evidence, "if they are shares that lack their normalisation", ":normalize=true"),
                found("softmax_cross_entropy", sums, evidence, "if they are logits")]  # fmt: skip
    made.append(found("multiclass_error", right, evidence))
    if c >= MANY_CLASSES:
        made.append(found("top_k_error", f"there are {c} classes", {"classes": c}, parameters=":k=5"))
    return made


def one_hot(facts):
    y = facts.y_rows
    share = y.n_one_hot / max(1, y.n - y.n_bad)
    seen = f"{share:.1%} of the target rows have a single 1: they are labels, which take a column instead of {facts.width}"
    name = {"probability": "multiclass_log_loss", "log-probability": "negative_log_likelihood"}.get(facts.scores, "softmax_cross_entropy")
    how = "with the labels as one column of class numbers"
    return [found(name, seen, {"one_hot": share}, how), *distributions(facts)]


def multilabel(facts):
    y = facts.y_rows
    seen = f"{y.n_zero_one / max(1, y.n - y.n_bad):.1%} of the target rows hold 0 and 1 alone, and not one 1 each"
    if facts.scores == "logit":
        return [found("multilabel_logistic", seen, {"min": facts.p_rows.min, "max": facts.p_rows.max})]
    how = "of all labels as one column: the rows flattened"
    return [found(name, seen, {"min": facts.p_rows.min, "max": facts.p_rows.max}, how) for name in ("log_loss", "brier")]


def distributions(facts):
    p, y = facts.p_rows, facts.y_rows
    seen = f"{y.n_sum_one} of {y.n - y.n_bad} target rows and {p.n_sum_one} of {p.n - p.n_bad} prediction rows sum to 1"
    evidence = {"target_rows_that_sum_to_1": y.n_sum_one, "prediction_rows_that_sum_to_1": p.n_sum_one}
    names = {
        "probability": ("kl_divergence", "jensen_shannon_divergence", "total_variation"),
        "log-probability": ("kl_divergence_with_log_probs",),
    }.get(facts.scores, ("soft_label_cross_entropy",))  # fmt: skip
    return [found(name, seen, evidence) for name in names]
