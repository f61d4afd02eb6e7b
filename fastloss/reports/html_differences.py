"""The sections of a report on a comparison; one that nothing was asked for is not there."""

import math

from fastloss.reports import html_reading as reading
from fastloss.reports.compare import notes_of
from fastloss.reports.html_answers import files_table, sentences, target, value
from fastloss.reports.html_charts import forest, sides_bars
from fastloss.reports.html_page import Section, figure, interval, name, number, pair, plain, table, text
from fastloss.reports.html_segments import SEGMENTS, label
from fastloss.reports.html_svg import short
from fastloss.reports.html_verdict import BETTER, NONE, OPEN, SAME, UNSURE, WORSE, bounds, relative, signed, signed_percent, verdict
from fastloss.reports.html_words import loss_title

LOSSES, DIFFERING = 40, 25
ZERO, SIDES = "no difference", ("← B better", "A better →")
SAID = {BETTER: "B is better", WORSE: "A is better", OPEN: "open", SAME: "the same", UNSURE: "not known", NONE: "–"}


def hundredth(share):
    """A share at a tick, in percent."""
    return f"{short(round(100 * share, 10))}%"


def costs(told):
    """The costs, their difference, and how sure that is."""
    shown, level = told.results[:LOSSES], f"{100 * told.confidence:g} %"
    some = any(r.bootstrap is not None for r in shown)
    source = "Poisson bootstrap" if some else "normal distribution"
    headings = ["loss", "B − A", f"{level} interval", "of A's cost", "at this level", "cost of A", "cost of B"]
    rows, marks = [], []
    for r in shown:
        share, sure = relative(r), bounds(r)
        ends = f"{signed(sure[0], 3)} to {signed(sure[1], 3)}" if sure else interval(r.bootstrap.interval if r.bootstrap else r.interval, 3)
        both = [text(repr(float(cost))) if cost is not None and math.isfinite(cost) else number(cost) for cost in (r.cost_a, r.cost_b)]
        rows.append([loss_title(r), signed(r.difference), ends, signed_percent(share[0]) if share else "–", SAID[verdict(r)], *both])
        if share is not None:
            marks.append((r.name, *share, f"{signed_percent(share[0])}: {SAID[verdict(r)]}"))
    more = f", the first {LOSSES} of {len(told.results)}" if len(told.results) > LOSSES else ""
    body = f'<p class="words">{reading.COMPARED.format(level=level, source=source)}</p>'
    if marks:
        svg, cut = forest(told.key(), marks, 0.0, "B − A, in % of A’s cost", ZERO, hundredth, SIDES)
        words = reading.DIFFERENCES + reading.FOREST_CUT * cut
        body += figure(svg, "How much B's cost is below or above that of A.", words, "beside")
    return Section("costs", "Costs, and how sure the difference is", body + table(f"Costs and difference{more}", headings, rows))


def signs(told):
    """How often which of the two is better."""
    shown = [r for r in told.results[:LOSSES] if r.better_a is not None]
    if not shown:
        return None
    rows, marks = [], []
    for r in shown:
        total = r.better_a + r.better_b + r.equal
        rows.append([loss_title(r), number(r.better_b), number(r.better_a), number(r.equal), p_value(r.p_value)])
        if total:
            marks.append((r.name, r.better_b / total, r.better_a / total))
    headings = ["loss", "B better", "A better", "no difference", "p"]
    counted = table("Predictions by which has the smaller loss, and the p-value of the sign test", headings, rows)
    if not marks:
        return Section("signs", "How often which is better", counted)
    words = f"The share of predictions in which each has the smaller loss. {reading.SIGNS}"
    drawn = figure(sides_bars(told.key(), marks), "In how many predictions B is better, and in how many A.", words)
    return Section("signs", "How often which is better", pair(drawn, counted))


def p_value(p):
    return "&lt; 0.0001" if p < 1e-4 else number(p, 2)


def segments(told):
    """The difference in each segment."""
    found = told.comparison.segments
    if found is None:
        return None
    columns = " and ".join(name(column, 40) for column in told.by[:8])
    body = f'<p class="words">The predictions by {columns}: {len(found):,} segment{"s" * (len(found) != 1)}.</p>{told.only()}'
    for result in told.detailed:
        i = told.positions[result.name]
        weighted = sorted(((segment, segment.results[i]) for segment in found), key=lambda one: rank(one[1]))
        shown, others = weighted[:SEGMENTS], weighted[SEGMENTS:]
        marks = [("(all)", result.difference, bounds(result), "")]
        marks += [(label(told.by, segment), one.difference, bounds(one), "") for segment, one in shown]
        svg, cut = forest(told.key(), marks, 0.0, f"B − A ({plain(result.name, 20)})", ZERO, sides=SIDES)
        shows = "Where B is better, and where A: the segments that make most of the difference first."
        shows += f" The {len(shown)} first of {len(found):,}; the table sums up the others." if others else ""
        words = told.reading("segments", reading.DIFFERENCES_BY) + reading.FOREST_CUT * cut
        body += told.heading(result) + pair(figure(svg, shows, words), segment_table(told, shown, others))
    return Section("segments", "Where which is better", body)


def weight(one):
    """What a segment counts: NaN are left out where there is a cost without them."""
    if one.weight_sum is not None:
        return one.weight_sum
    return one.n - one.n_nan * (one.cost_a is not None and not math.isnan(one.cost_a))


def rank(one):
    """What puts segments in order: what is no number, then by weight times difference, the largest first."""
    if one.difference is None:
        return 2, 0.0
    return (0, 0.0) if math.isnan(one.difference) else (1, -abs(one.difference) * weight(one))


def segment_table(told, shown, others):
    level, adjusted = f"{100 * told.confidence:g} %", any(one.p_adjusted is not None for _, one in shown)
    headings = ["segment", "B − A", f"{level} interval", "A", "B", "predictions"]
    headings += ["p, Holm"] if adjusted else []
    rows = []
    for segment, one in shown:
        ends = bounds(one)
        row = [name(label(told.by, segment)), signed(one.difference), f"{signed(ends[0], 3)} to {signed(ends[1], 3)}" if ends else "–"]
        row += [number(one.cost_a), number(one.cost_b), number(one.n)]
        rows.append(row + ([p_value(one.p_adjusted)] if adjusted else []))
    if others:
        row = [f"the {len(others):,} others together", "–", "–", "–", "–", number(sum(one.n for _, one in others))]
        rows.append(row + ["–"] * adjusted)
    return table("Segments by what they add to the difference", headings, rows, rest=(len(shown),) if others else ())


def differing(told):
    """The samples whose losses differ most."""
    comparison = told.comparison
    if not any((comparison.worst or {}).values()):
        return None
    body, seen = f'<p class="words">{reading.DIFFERING}</p>{told.only()}', set()
    for result in told.detailed:
        samples = comparison.worst.get(result.name, ())
        if not samples or id(samples[0]) in seen:  # losses that share a kernel share the samples
            continue
        seen.add(id(samples[0]))
        body += told.heading(result) + samples_table(told, samples)
    return Section("differing", "The predictions where they differ most", body)


def samples_table(told, samples):
    weighted, places = any(s.weight is not None for s in samples), {(s.file_a, s.file_b) for s in samples}
    elsewhere = any(s.row_a != s.row_b for s in samples)
    headings = ["row of A", *(["row of B"] if elsewhere else []), "B − A", "target", "A", "B", "loss of A", "loss of B"]
    headings += (["weight"] if weighted else []) + (["file of A", "file of B"] if len(places) > 1 else [])
    rows = []
    for s in samples[:DIFFERING]:
        row = [number(s.row_a), *([number(s.row_b)] if elsewhere else []), signed(s.difference), of_class(told, s.target)]
        row += [value(s.prediction_a), value(s.prediction_b), number(s.loss_a), number(s.loss_b)]
        row += [number(s.weight)] if weighted else []
        rows.append(row + ([name(s.file_a), name(s.file_b)] if len(places) > 1 else []))
    more = f", the first {DIFFERING} of {len(samples)}" if len(samples) > DIFFERING else ""
    return table(f"The largest differences of the losses{more}", headings, rows)


def of_class(told, given):
    return target(told.comparison, given) if told.of_files else value(given)


def data(told):
    """What was compared."""
    comparison, first = told.comparison, told.results[0]
    rows = [["pairs", number(comparison.rows)], ["pairs with a loss that is NaN", number(first.n_nan)]]
    rows += [["pairs with an infinite loss", number(first.n_inf)]]
    body = []
    if told.of_files:
        columns = comparison.columns
        roles = {"target": "targets", "prediction": "predictions of A", "against": "predictions of B", "weight": "weights", "key": "key"}
        for role, words in roles.items():
            given = columns.get(role)
            if given:
                rows.append([f"column of the {words}", name(", ".join(map(str, given[:9])) if isinstance(given, list | tuple) else given)])
        paired = "by the key" if columns.get("key") else "row by row"
        rows.append(["how they go together", paired])
        rows += [[f"rows of {side} left out", number(n)] for side, n in (("A", comparison.unmatched_a), ("B", comparison.unmatched_b)) if n]
        body = [files_table(comparison.files_a, " of A" if comparison.files_b else " of A and B")]
        body += [files_table(comparison.files_b, " of B")] if comparison.files_b else []
    several = f", by {loss_title(first)}" if len(told.results) > 1 else ""
    counted = table(f"What was counted{several}", ["what", "value"], rows, left=2)
    found = pair(counted, f"<div>{''.join(body)}</div>") if body else counted
    return Section("data", "What was compared", found + sentences("Notes", notes_of(comparison)))
