"""A comparison as a page: which of the two is better, what stands out, and its sections."""

import os

from fastloss.reports import html_differences as sections
from fastloss.reports.html_page import count, name, number, page, percent, points, text, tiles, warning
from fastloss.reports.html_segments import label
from fastloss.reports.html_told import Report
from fastloss.reports.html_verdict import BETTER, FEW, NONE, UNSURE, WORSE, bounds, clear, relative, signed, signed_percent, verdict
from fastloss.reports.html_verdict_words import agreement, counted, said
from fastloss.reports.html_words import loss_title


class Told(Report):
    """A comparison; of arrays, it has no files."""

    def __init__(self, comparison, losses):
        super().__init__(comparison.results, losses)
        self.comparison, self.of_files = comparison, hasattr(comparison, "files_a")
        self.by = (comparison.by if self.of_files else ("segment",)) if comparison.segments else ()
        self.confidence = comparison.results[0].confidence


def document(comparison, losses):
    """The page as text. losses: how many have pictures of their own."""
    told = Told(comparison, losses)
    makers = (sections.costs, sections.signs, sections.segments, sections.differing, sections.data)
    return page(f"{' and '.join(sides(told))} compared", head(told), [part for make in makers if (part := make(told)) is not None])


def sides(told):
    """What A and B are, as plain text: their files, or else their columns."""
    if not told.of_files:
        return "A", "B"
    found = told.comparison
    columns = [str(found.columns[role]) for role in ("prediction", "against")]
    if not found.files_b:
        return columns
    paths = [[str(file["path"]) for file in files] for files in (found.files_a, found.files_b)]
    short = [os.path.basename(mine[0]) or mine[0] for mine in paths]
    if short[0] == short[1]:
        short = [mine[0] for mine in paths]
    short = [one if len(mine) == 1 else f"{one} and {count(len(mine) - 1, 'other')}" for one, mine in zip(short, paths, strict=True)]
    return [f"{one}, {column}" for one, column in zip(short, columns, strict=True)] if columns[0] != columns[1] else short


def head(told):
    """Title, the verdict, key figures, and what there is to know."""
    first, comparison = told.results[0], told.comparison
    found = '<p class="eyebrow">Comparison report</p><h1>Is B better than A?</h1>'
    if told.of_files:
        a, b = (name(one, 120) for one in sides(told))
        found += f'<p class="words">A: {a}</p><p class="words">B: {b}</p>'
    found += f'<p class="lede">{said(first)}</p>'
    if verdict(first) == UNSURE and first.bootstrap is None and first.n > 1:
        found += warning("For an interval of such a loss, ask again with <code>--bootstrap 1000</code> (<code>bootstrap=1000</code>).")
    if verdict(first) == NONE and first.n_nan:
        found += warning("To leave such predictions out, ask again with <code>--nan skip</code> (<code>nan='skip'</code> in Python).")
    if first.n < FEW and verdict(first) != NONE:
        found += warning(f"{count(first.n, 'prediction')} can prove little: of so few the interval is rough.")
    for side, unmatched in (("A", getattr(comparison, "unmatched_a", 0)), ("B", getattr(comparison, "unmatched_b", 0))):
        if unmatched:
            found += warning(f"{count(unmatched, 'row')} of {side} left out, which the other side lacks: nothing of them is in this.")
    return found + tiles(figures(told)) + points(findings(told))


def figures(told):
    """The key figures."""
    first = told.results[0]
    cells = [("predictions of each", f"{first.n:,}", "")]
    cells += [(f"cost of {side}", number(cost), loss_title(first)) for side, cost in (("A", first.cost_a), ("B", first.cost_b))]
    for result in told.results[:4]:
        share, ends = relative(result), bounds(result)
        words = [f"{signed_percent(share[0])} of A's"] if share else []
        words += [f"{signed(ends[0], 3)} to {signed(ends[1], 3)} at {100 * result.confidence:g} %"] if ends else []
        of = f": {loss_title(result)}" if len(told.results) > 1 else ""
        cells.append((f"B − A{of}", signed(result.difference), "; ".join(words)))
    if first.better_b is not None and first.better_a + first.better_b:
        share = first.better_b / (first.better_a + first.better_b)
        cells.append(("B is better in", percent(share), "of the predictions where they differ"))
    return cells


def findings(told):
    """Sentences on what stands out."""
    first, found = told.results[0], []
    if len(told.results) > 1:
        found.append(agreement(told.results))
    if first.n_nan and verdict(first) != NONE:
        lost = count(first.n_nan, "prediction was", "predictions were")
        found.append(f"Of {first.n:,} predictions, {lost} left out, because a loss could not be computed.")
    if first.better_a is not None and first.better_a + first.better_b:
        found.append(counted(first))
    if told.comparison.segments is not None and len(told.comparison.segments) > 1:
        found += places(told)
    return found


def places(told):
    """In which segments B is clearly better, and in which worse."""
    segments, whole = told.comparison.segments, verdict(told.results[0])
    clearly = [(clear(segment.results[0], len(segments)), segment) for segment in segments]
    found = []
    for kind, word in ((BETTER, "better"), (WORSE, "worse")):
        mine = [segment for one, segment in clearly if one == kind]
        if not mine:
            continue
        most = max(mine, key=lambda segment: abs(segment.results[0].difference))
        shown = label(told.by, most)
        shown, result = text(shown if len(most.values) > 1 else f"{told.by[0]} = {shown}", 120), most.results[0]
        but = "But not everywhere: " if whole in (BETTER, WORSE) and kind != whole else ""
        where = f"in {shown}" if len(mine) == 1 else f"in {len(mine):,} of {len(segments):,} segments, most in {shown}"
        costs = f"a cost of {number(result.cost_b)} instead of {number(result.cost_a)}"
        found.append(f"{but}B is clearly {word} {where}: {costs}.")
    return found
