"""What numbers of an evaluation mean, in sentences for those who do not know the loss."""

import itertools
import math

import fastloss as fl
from fastloss.reports.html_page import number, percent, text

# What a cost says by itself, of losses at their defaults; other losses are told by their first line of documentation
ODDS = ("log_loss", "logistic", "softmax_cross_entropy", "multiclass_log_loss", "negative_log_likelihood")
WRONG = ("zero_one", "multiclass_error")


def meaning(loss, cost):
    """A sentence on what the cost of a configured loss says, in HTML."""
    definition = loss.definition
    plain = loss.spec == fl.get(definition.name).spec
    if plain and definition.name in ODDS and cost >= 0:
        return f"On (geometric) average, what really happened had been given a probability of {percent(math.exp(-cost))}."
    if plain and definition.name in WRONG and 0 <= cost <= 1:
        return f"That is {percent(cost)} of the predictions wrong."
    if definition.name == "top_k_error" and 0 <= cost <= 1:
        return f"In {percent(cost)} of the cases the right class was not among the top ones."
    if definition.name == "absolute_error":
        return f"Predictions are off by {number(cost)} on average, in the units of the target."
    if definition.name == "squared_error" and cost >= 0:
        return f"That is in squared units of the target; its square root, {number(math.sqrt(cost))}, is a typical error."
    if definition.name == "root_mean_squared_error":
        return f"A typical error is {number(cost)}, in the units of the target; large errors count most."
    if definition.name == "brier":
        return "0 is perfect; always saying 50 % would get 0.25."
    return text(definition.summary, 300)


def loss_title(result):
    """A loss as it was asked for, with its own name where that is another."""
    asked, known = str(result.name), fl.get(result.spec).definition.name
    return text(asked, 60) if known in asked else f"{text(asked, 60)} ({text(known)})"


def added(numbers):
    """Their sum, infinite where it overflows, NaN where infinities cancel."""
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):
        return sum(numbers)


def bands(histogram, weights):
    """{share: part of the sum of losses} that the worst ``share`` of the weight make, near enough; empty where that says nothing."""
    lows, highs = histogram.low.tolist(), histogram.high.tolist()
    if not lows or lows[0] < 0 or highs[-1] == math.inf:
        return {}
    parts = [(weight, weight * (low / 2 + high / 2)) for low, high, weight in zip(lows, highs, histogram.weight.tolist(), strict=True)]
    whole, total = added([weight for weight, _ in parts]), added([loss for _, loss in parts])
    if not whole > 0 or not total > 0 or not math.isfinite(total):
        return {}
    found = {}
    for share in weights:
        left, taken = share * whole, 0.0
        for weight, loss in reversed(parts):
            part = min(1.0, left / weight) if weight else 0.0
            taken, left = taken + part * loss, left - part * weight
            if left <= 0:
                break
        found[share] = taken / total
    return found


def quantile(histogram, q):
    """Of the finite losses of a histogram, the middle of the bucket that has it."""
    parts = list(zip(histogram.low.tolist(), histogram.high.tolist(), histogram.weight.tolist(), strict=True))
    total = math.fsum(weight for *_, weight in parts)
    for (low, high, weight), passed in zip(parts, itertools.accumulate(weight for *_, weight in parts), strict=True):
        if passed >= q * total and weight:
            return low / 2 + high / 2
    return parts[-1][1]
