"""The verdict on two sets of predictions, in words for those who know no statistics."""

import math

from fastloss.reports.html_page import count, interval, number, percent, text
from fastloss.reports.html_verdict import BETTER, NONE, OPEN, SAME, UNSURE, WORSE, bounds, differing, few, relative, verdict
from fastloss.reports.html_words import loss_title

HAPPENS = 0.05  # a chance that is no surprise
ENDLESS = "with endless data of this kind, B's cost"


def said(result):
    """What a Compared says, as HTML of one or two sentences and a half."""
    found, what, level = verdict(result), f"<b>{loss_title(result)}</b>", f"{100 * result.confidence:g} %"
    pairs = f"On {count(result.n, 'prediction')}"
    if found == NONE:
        costs = f"that of A is {number(result.cost_a)}, that of B {number(result.cost_b)}"
        return f"<b>Which is better cannot be told.</b> {pairs}, the costs by {what} cannot be compared: {costs}."
    if found == SAME:
        return f"<b>A and B are equally good.</b> {pairs}, no loss by {what} of the one differs from that of the other."
    share, ends = relative(result), bounds(result)
    part = f" ({percent(abs(share[0]))})" if share is not None and result.difference else ""
    two = f"{number(result.cost_a)} for A and {number(result.cost_b)} for B"
    by = f"{number(abs(result.difference), 3)}{part} {'lower' if result.difference < 0 else 'higher'}" if result.difference else "the same"
    size = f"{pairs}, the cost by {what} is {two}, which is {by}."
    if found == UNSURE:
        return f"<b>How sure it is which is better cannot be told.</b> {size}"
    if found == OPEN:
        least, most = -ends[0], ends[1]
        so = f"anything from {number(least, 3)} lower to {number(most, 3)} higher" if least and most else interval(ends, 3)
        return f"<b>It is open which is better.</b> {size} Chance alone can make that: {ENDLESS} could be {so} (at {level})."
    ends = sorted(map(abs, ends))
    so = f"{number(ends[0], 3)} to {number(ends[1], 3)} {'lower' if found == BETTER else 'higher'}"
    if few(result):
        who, differ = "B" if found == BETTER else "A", differing(result)
        of = "there are so few predictions" if differ is None else f"the losses of only {count(differ, 'prediction')} differ"
        return f"<b>{who} seems better.</b> {size} But that may be chance: {of}. Roughly, {ENDLESS} would be {so} (at {level})."
    return f"<b>{found}.</b> {size} That is more than chance: {ENDLESS} would be {so} (at {level})."


def chance(p):
    """How often something of probability p happens."""
    if p < 1e-6:
        return "in less than one of a million such comparisons"
    if p < 0.095:
        unit = 10 ** max(0, math.floor(math.log10(1 / p)) - 1)
        return f"in one of {round(1 / p / unit) * unit:,} such comparisons"
    return f"in {round(100 * p)} of 100 such comparisons"


def agreement(results):
    """What the losses say, together."""
    groups = {}
    for result in results:
        groups.setdefault(verdict(result), []).append(text(result.name, 40))
    be = "seems" if any(few(result) for result in results if verdict(result) in (BETTER, WORSE)) else "is"
    if len(groups) == 1:
        kind = next(iter(groups))
        said = {BETTER: f"B {be} better", WORSE: f"A {be} better", OPEN: "it is open which is better", SAME: "they are equally good",
                UNSURE: "it cannot be told how sure that is", NONE: "it cannot be told which is better"}[kind]  # fmt: skip
        return f"By {'both' if len(results) == 2 else f'all {len(results)}'} losses alike, {said}."
    by = {BETTER: f"B {be} better by {{}}", WORSE: f"A {be} better by {{}}", OPEN: "it is open by {}", SAME: "they are equally good by {}",
          UNSURE: "it cannot be told how sure it is by {}", NONE: "it cannot be told which is by {}"}  # fmt: skip
    parts = [words.format(listed(groups[kind])) for kind, words in by.items() if kind in groups]
    return f"Not all losses say the same: {'; '.join(parts)}."


def listed(names, most=6):
    return ", ".join(names[:most]) + f" and {count(len(names) - most, 'other')}" * (len(names) > most)


def counted(result):
    """How often which is better, and how likely that is."""
    total = result.better_a + result.better_b
    ties = f", and no difference in {result.equal:,}" if result.equal else ""
    words = f"B comes closer in {result.better_b:,} of the predictions, A in {result.better_a:,}{ties}. "
    words += f"If both were as likely to, the counts would be as uneven {chance(result.p_value)}."
    more = BETTER if result.better_b > result.better_a else WORSE
    if verdict(result) in (BETTER, WORSE) and verdict(result) != more and result.p_value < HAPPENS:
        who = ("B", "A") if more == WORSE else ("A", "B")
        often = percent(max(result.better_a, result.better_b) / total)
        words += f" So {who[0]} is better on average, although {who[1]} is better more often ({often} of the times): fewer, but larger"
        words += " differences decide. Look at where they differ most."
    return words
