"""An evaluation as a report tells it: what several of its sections need."""

from fastloss.reports.html_words import loss_title


class Told:
    """An evaluation as a report tells it. losses: how many of its losses have pictures of their own."""

    def __init__(self, evaluation, losses):
        self.evaluation, self.results = evaluation, list(evaluation.results)
        self.detailed, self.keys = self.results[:losses], 0
        self.losses = dict(zip([r.name for r in self.results], evaluation.state.losses, strict=True))
        self.read = set()
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
