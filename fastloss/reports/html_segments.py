"""The section of a report on segments: which of them the cost comes from."""

import math

from fastloss.reports import html_reading as reading
from fastloss.reports.html_charts import forest
from fastloss.reports.html_page import Section, figure, interval, name, number, pair, percent, table
from fastloss.reports.html_words import added

SEGMENTS = 20


def parts_of(told, result):
    """[(Segment, its SegmentCost, its weight, what it adds to the sum of losses or None)], the most first; and the sum, or None."""
    skip, outer = told.evaluation.state.nan == "skip", told.losses[result.name].definition.outer
    inner = {None: lambda cost: cost, "sqrt": lambda cost: cost * cost, "exp": lambda cost: math.log(cost) if cost > 0 else math.nan}[outer]
    found = []
    for segment in told.evaluation.segments:
        part = segment.results[told.positions[result.name]]
        weight = part.weight_sum if part.weight_sum is not None else part.n - part.n_nan * skip
        found.append((segment, part, weight, None if part.cost is None else weight * inner(part.cost)))
    adds = [add for *_, add in found if add is not None]
    single = not told.losses[result.name].definition.terms
    total = added(adds) if single and adds and all(map(math.isfinite, adds)) and min(adds) >= 0 else None
    if total is not None and 0 < total < math.inf:
        return sorted(found, key=lambda one: -(one[3] or 0)), total
    return sorted(found, key=lambda one: (one[1].cost is None, -(one[2] or 0))), None


def label(by, segment):
    """The values of a segment as text."""
    values = ["(missing)" if value is None else str(value) or "(empty)" for value in segment.values]
    if len(values) == 1:
        return values[0]
    return ", ".join(f"{column} = {value}" for column, value in zip(by, values, strict=True))


def segments(told):
    """Where the cost comes from."""
    if told.evaluation.segments is None:
        return None
    level, n = told.confidence(), len(told.evaluation.segments)
    body = f'<p class="words">The predictions by {" and ".join(name(column, 40) for column in told.evaluation.by[:8])}: '
    body += f"{n:,} segment{'s' * (n != 1)}.</p>{told.only()}"
    for result in told.detailed:
        found, total = parts_of(told, result)
        shown, others = found[:SEGMENTS], found[SEGMENTS:]
        by, parts = told.evaluation.by, ["" if total is None else f"{percent((add or 0.0) / total)} of the cost" for *_, add in shown]
        marks = [(label(by, one), part.cost, part.interval, words) for (one, part, *_), words in zip(shown, parts, strict=True)]
        svg, cut = forest(told.key(), marks, result.cost, f"cost ({result.name})")
        words = reading.FOREST
        if any(bounds is not None and all(map(math.isfinite, bounds)) for _, _, bounds, _ in marks):
            words += reading.FOREST_INTERVAL.format(level=100 * level)
        shows = "The cost of each segment, the largest segment first."
        if total is not None:
            shows, words = "Which segments the cost comes from, the largest part first.", words + reading.FOREST_SHARE
            outer = told.losses[result.name].definition.outer
            words += reading.FOREST_OUTER.format(outer={"sqrt": "root", "exp": "exponential"}[outer]) if outer else ""
        shows += f" The {len(shown)} first of {n:,}; the table sums up the others." if others else ""
        picture = figure(svg, shows, told.reading(("forest", words), words) + reading.FOREST_CUT * cut)
        body += told.heading(result) + pair(picture, segment_table(told, result, shown, others, total, level))
    return Section("segments", "Where the cost comes from", body)


def segment_table(told, result, shown, others, total, level):
    weights = math.fsum(weight for _, _, weight, _ in shown + others)
    with_interval = any(part.interval is not None for _, part, *_ in shown)
    headings = ["segment", "cost", *([f"{100 * level:g} % interval"] if with_interval else []), "predictions", "part of all"]
    headings += ["part of the cost"] if total is not None else []
    rows = []
    for segment, part, weight, add in shown:
        row = [name(label(told.evaluation.by, segment)), number(part.cost), *([interval(part.interval, 3)] if with_interval else [])]
        row += [number(segment.n), percent(weight / weights if weights else None)]
        row += [percent((add or 0.0) / total)] if total is not None else []
        rows.append(row)
    if others:
        weight = math.fsum(weight for _, _, weight, _ in others)
        adds, definition = added([add or 0.0 for *_, add in others]), told.losses[result.name].definition
        mean = adds / weight if weight and not definition.terms else None
        finite = mean is not None and math.isfinite(mean)
        cost = {"sqrt": math.sqrt, "exp": math.exp}[definition.outer](mean) if finite and definition.outer else mean
        row = [f"the {len(others):,} others together", number(cost), *(["–"] if with_interval else [])]
        row += [number(sum(segment.n for segment, *_ in others)), percent(weight / weights if weights else None)]
        rows.append(row + ([percent(adds / total)] if total is not None else []))
    caption = f"Segments by {'their part of the cost' if total is not None else 'their size'}"
    return table(caption, headings, rows, rest=(len(shown),) if others else ())
