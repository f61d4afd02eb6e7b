"""The sections of a report that are pictures of losses: how they spread, whether probabilities hold, how the cost goes along the data."""

import math

from fastloss.reports import html_reading as reading
from fastloss.reports.html_charts import cumulative, histogram, reliability, series
from fastloss.reports.html_page import Section, count, details, figure, interval, number, pair, percent, points_of, table, warning
from fastloss.reports.html_svg import steps
from fastloss.reports.html_words import quantile

STRETCHES, BINS = 60, 20
TO = "\u00a0to\u00a0"  # where no line ends


def spread(told):
    """Histogram, cumulative curve and quantiles of the losses of single predictions."""
    found = {r.name: (told.evaluation.spread or {}).get(r.name) for r in told.detailed}
    if not any(found.values()):
        return None
    body = '<p class="words">Behind an average there can be many small losses, or a few huge ones. Quantiles are within 1 %.</p>'
    body += told.only()
    drawn = set()
    for result in told.detailed:
        one = found[result.name]
        kernel = told.evaluation.analysis.which[told.positions[result.name]]
        if one is None:
            continue
        if kernel in drawn:  # a root or exponential of a mean whose losses are shown already
            continue
        drawn.add(kernel)
        body += told.heading(result) + spread_pictures(told, one) + quantiles(told, one)
    return Section("spread", "Losses of single predictions", body)


def spread_pictures(told, found):
    infinite = sum(c for low, c in zip(found.histogram.low.tolist(), found.histogram.count.tolist(), strict=True) if math.isinf(low))
    scale, edges = scale_of(found.histogram)
    if scale is None:
        return warning("No loss is finite, so there is nothing to draw.")
    bins = found.histogram.bins(edges)
    bars = list(zip(bins.low.tolist(), bins.high.tolist(), bins.weight.tolist(), strict=True))
    total = math.fsum(weight for *_, weight in bars)
    if not total > 0:
        return warning("All weights are 0, so there is nothing to draw.")
    what, log = "loss of a prediction", scale[2]
    unit = "of the weight" if (found.histogram.weight != found.histogram.count).any() else "of the predictions"
    words = reading.HISTOGRAM.format(unit=unit) + reading.UNEVEN * log
    less = f" The bar at the left holds all below {number(bars[0][1], 2)}." if bars[0][2] else ""
    more = f" The bar at the right holds all above {number(bars[-1][0], 2)}." if bars[-1][2] else ""
    less += f"{more} {count(infinite, 'prediction')} of infinite loss are in it." if infinite else more
    one = figure(
        histogram(told.key(), bars, scale, total, what), "How many predictions have a small loss, how many a large one.",
        told.reading(f"histogram {log}", words) + less,
    )  # fmt: skip
    x, share = (part.tolist() for part in found.histogram.ecdf())
    stairs = [(a, b) for a, b in zip(x, share, strict=True) if math.isfinite(a)]
    marks = [(q, quantile(found.histogram, q)) for q in (0.5, 0.95)]
    marks = [(q, value) for q, value in marks if math.isfinite(value)]
    known = " and ".join(f"{percent(q)} up to {number(value, 3)}" for q, value in marks)
    two = figure(
        cumulative(told.key(), stairs, (*scale[:2], log), marks, what), f"Which share {unit} loses no more than so much: {known}.",
        told.reading("curve", reading.CURVE),
    )  # fmt: skip
    return pair(one, two)


def scale_of(histogram):
    """((low, high, logarithmic), edges of bars) that show most of a histogram's losses, or (None, None) if none is finite."""
    rows = zip(histogram.low.tolist(), histogram.high.tolist(), histogram.weight.tolist(), strict=True)
    finite = [(low, high, weight) for low, high, weight in rows if math.isfinite(low) and math.isfinite(high)]
    if not finite:
        return None, None
    least, most = finite[0][0], finite[-1][1]
    above = [low for low, _, weight in finite if low > 0 and weight]
    early, late = (quantile(histogram, q) for q in (0.25, 0.95))
    if least >= 0 and above and late > 100 * max(early, 1e-300) and math.isfinite(late) and most > 20 * above[0]:
        low = max(above[0], quantile(histogram, 0.005), most * 1e-6)
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(most) - 1e-9)
        each = max(1, 32 // max(1, last - first))
        edges = [10.0 ** (first + i / each) for i in range((last - first) * each + 1)]
        return (edges[0], edges[-1], True), [edge for edge in edges if edge < math.inf]
    high = quantile(histogram, 0.99)
    high = most if not math.isfinite(high) or most <= 1.25 * high else high
    low = 0.0 if 0 <= least < 0.3 * high else least
    if not high > low:
        low, high = low - abs(low) / 2 - (low == 0) / 2, high + abs(high) / 2 + (high == 0) / 2
    edges = steps(low, high, 32)
    step = edges[1] - edges[0] if len(edges) > 1 else 1.0
    edges = [*([edges[0] - step] if edges[0] > low else []), *edges]
    while edges[-1] <= high:
        edges.append(edges[-1] + step)
    return (edges[0], edges[-1], False), edges


def quantiles(told, found):
    headings, row = ["least"], [number(found.min, 3)]
    for q, value in list(found.quantiles.items())[:20]:
        headings.append("median" if q == 0.5 else f"{100 * q:g} %")
        row.append(number(value, 3))
    headings = ["of", *headings, "largest", "mean", "std. deviation"]
    row = ["all\u00a0losses", *row, *(number(part, 3) for part in (found.max, found.mean, found.std))]
    return table("Quantiles: so many of the predictions lose no more than this", headings, [row])


def calibration(told):
    """Do things happen as often as predictions say?"""
    found = told.evaluation.calibration
    used = [] if found is None else [part for part in found.bins if part.confidence is not None]
    if not used:
        return None
    rows = told.evaluation.state.rows
    weighted = any(part.weight != part.n for part in used)
    groups = joined(used)
    marks = [(low, high, n, sure, share, None if weighted else wilson(share, n)) for low, high, n, _, sure, share in groups]
    said, happened = ("how sure the prediction was", "how often it was right") if rows else ("probability predicted", "how often it was so")
    mass = math.fsum(weight for _, _, _, weight, _, _ in groups)
    over = math.fsum(weight * (sure - share) for _, _, _, weight, sure, share in groups) / mass
    if math.isfinite(found.ece):
        body = f'<p class="words">{apart(found, groups, over)}</p>'
    else:
        body = warning(f"{count(found.n_nan, 'prediction')} could not be placed, so there is no calibration error.")
    words = told.reading("reliability", reading.RELIABILITY + ("" if weighted else reading.RELIABILITY_INTERVAL))
    picture = figure(reliability(told.key(), marks, said, happened), "Whether predicted probabilities can be taken at their word.", words)
    lines = [
        [f"{percent(low)}{TO}{percent(high)}", number(n), percent(sure), percent(share), points_of(share - sure)]
        for low, high, n, _, sure, share in groups
    ]
    body += pair(picture, table("Groups of predictions", ["group", "predictions", "said", "was so", "difference, points"], lines))
    return Section("calibration", "Can the probabilities be trusted?", body)


def apart(found, groups, over):
    """How far what was said and what was so are apart, in sentences."""
    low, high, n, _, sure, share = max(groups, key=lambda group: abs(group[5] - group[4]))
    words = (
        f"On average, what was said and what was so are {100 * found.ece:.1f} percentage points apart (the expected calibration error). "
    )
    words += f"Farthest apart is the group from {percent(low)} to {percent(high)}, of {count(n, 'prediction')}: "
    words += f"it said {percent(sure)}, and {percent(share)} was so."
    if abs(over) >= 5e-4:
        words += f" Overall, predictions are {abs(100 * over):.1f} percentage points too {'high' if over > 0 else 'low'}."
    return words


def joined(bins):
    """[(low, high, n, weight, confidence, accuracy)] of bins, neighbours together until there are no more than can be shown."""
    times, found = -(-len(bins) // BINS), []
    for start in range(0, len(bins), times):
        some = bins[start : start + times]
        weight = math.fsum(part.weight for part in some)
        sure, share = (math.fsum(part.weight * getattr(part, field) for part in some) / weight for field in ("confidence", "accuracy"))
        found.append((some[0].low, some[-1].high, sum(part.n for part in some), weight, sure, share))
    return found


def wilson(share, n):
    """The 95 % interval of a share of n."""
    z = 1.959964
    middle, reach = share + z * z / (2 * n), z * math.sqrt(max(0.0, share * (1 - share)) / n + z * z / (4 * n * n))
    return (middle - reach) / (1 + z * z / n), (middle + reach) / (1 + z * z / n)


def along(told):
    """The cost along the files."""
    analysis = told.evaluation.analysis
    stretches = None if analysis is None else analysis.stretches(STRETCHES)
    if not stretches or len(stretches) < 2:
        return None
    files, marks, passed = told.evaluation.files, [], 0
    for file in files[:-1]:
        passed += file["rows"]
        marks.append(passed)
    marks = marks if len(marks) <= 30 else []
    length = stretches[0].stop - stretches[0].start
    body = f'<p class="words">The predictions in the order of the files, in stretches of {length:,} rows.</p>' + told.only()
    made, kind = [], "narrow" if len(told.detailed) > 1 else "beside"
    for result in told.detailed:
        i = told.positions[result.name]
        parts = [(s.start, s.stop, s.results[i].cost, s.results[i].interval) for s in stretches]
        words = reading.SERIES + reading.SERIES_BAND * any(bounds for *_, bounds in parts) + reading.SERIES_FILES * bool(marks)
        svg = series(told.key(), parts, result.cost, marks, f"cost ({result.name})")
        picture = figure(svg, "Whether the cost stays the same along the data.", told.reading("series", words), kind)
        lines = [[f"{a:,}{TO}{b - 1:,}", number(cost), interval(bounds, 3)] for a, b, cost, bounds in parts]
        more = details("The figures behind this picture", table("Cost by rows", ["rows", "cost", "interval"], lines))
        made.append(f"<div>{told.heading(result)}{picture}{more}</div>")
    return Section("along", "Along the data", body + (pair(*made) if len(made) > 1 else "".join(made)))
