"""What a report is on, as it tells it: what several of its sections need."""

import math

from fastloss.reports.html_words import loss_title


class Report:
    """Results that are told of. losses: how many of them have pictures of their own."""

    def __init__(self, results, losses):
        self.results, self.detailed = list(results), list(results)[:losses]
        self.keys, self.read = 0, set()
        self.positions = {result.name: i for i, result in enumerate(self.results)}

    def key(self):
        """An id of a picture."""
        self.keys += 1
        return f"g{self.keys}"

    def reading(self, what, words):
        """How to read a kind of picture: the first time in full."""
        if what in self.read:
            return "Read it as the one before."
        self.read.add(what)
        return words

    def heading(self, result):
        """What heads the part of a loss, where there are several."""
        return f"<h3>{loss_title(result)}</h3>" if len(self.results) > 1 else ""

    def only(self):
        """What to say where some losses have no pictures."""
        left = len(self.results) - len(self.detailed)
        return f'<p class="note">Shown for the first {len(self.detailed)} of {len(self.results)} losses.</p>' if left else ""


class Told(Report):
    """An evaluation."""

    def __init__(self, evaluation, losses):
        super().__init__(evaluation.results, losses)
        self.evaluation = evaluation
        self.losses = dict(zip([r.name for r in self.results], evaluation.state.losses, strict=True))

    def confidence(self):
        """The probability of the intervals, where there are any."""
        found = [part for parts in (self.evaluation.spread, self.evaluation.bootstrap) for part in (parts or {}).values() if part]
        return found[0].confidence if found else None


def interval_of(told, result):
    """By bootstrap, or else by the normal distribution, or None."""
    for parts in (told.evaluation.bootstrap, told.evaluation.spread):
        found = (parts or {}).get(result.name)
        if found is not None:
            return found.interval
    return None


def tells(bounds):
    """Whether an interval is one."""
    return bounds is not None and all(map(math.isfinite, bounds)) and bounds[0] < bounds[1]
