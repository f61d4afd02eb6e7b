"""The pictures of a report, each made from plain numbers: histogram, cumulative curve, forest plot, reliability diagram, series."""

import math

from fastloss.reports.html_page import count, interval, number, percent, text
from fastloss.reports.html_svg import WIDTH, Picture, Scale, decades, fitted, length, short, steps

LEFT, RIGHT = 44, WIDTH - 8


def ticks_of(scale):
    return decades(scale.low, scale.high, 4) if scale.log else steps(scale.low, scale.high, 5)


def histogram(key, bins, scale, total, what="loss"):
    """Bars. bins: (low, high, weight) in order, the first and the last perhaps open (-inf, inf); scale: (low, high, log) of what lies
    between; total: of all weights. Open bins stand apart, left and right."""
    inner = [part for part in bins if math.isfinite(part[0]) and math.isfinite(part[1])]
    below = sum(weight for low, _, weight in bins if low == -math.inf)
    above = sum(weight for _, high, weight in bins if high == math.inf)
    low, high, log = scale
    start, stop = LEFT + 46 * bool(below), RIGHT - 46 * bool(above)
    x, base, top = Scale(low, high, start, stop, log), 186, 12
    most = max([weight for *_, weight in inner] + [below, above]) / total
    y = Scale(0, most, base, top)
    picture = Picture(key, f"Histogram of {what}", f"{len(inner)} bars from {short(low)} to {short(high)}", 222)
    picture.up(y, steps(0, most, 4), LEFT - 2, RIGHT, percent_short)
    picture.across(x, ticks_of(x), base, base)
    for left, right, weight in inner:
        if weight:
            tip = f"{number(left, 3)} to {number(right, 3)}: {percent(weight / total)}"
            picture.rect(x(left), y(weight / total), max(0.7, x(right) - x(left) - 0.7), base - y(weight / total), "bar", tip)
    for weight, place, word in ((below, LEFT, "less"), (above, RIGHT - 20, "more")):
        if weight:
            tip = f"{word} than {number(low if word == 'less' else high, 3)}: {percent(weight / total)}"
            picture.rect(place, y(weight / total), 20, base - y(weight / total), "bar", tip)
            picture.words(place + 10, base + 17, word, "middle")
    picture.words((LEFT + RIGHT) / 2, 218, text(what), "middle")
    return picture.svg()


def percent_short(share):
    return f"{100 * share:.3g}%"


def cumulative(key, steps_up, scale, marks, what="loss"):
    """The share of what is no more than x, as stairs. steps_up: (x, share), ascending; marks: (share, x) that are named."""
    low, high, log = scale
    x, y = Scale(low, high, LEFT, RIGHT, log), Scale(0, 1, 186, 12)
    about = "; ".join(f"{percent(q)} up to {number(value, 3)}" for q, value in marks)
    picture = Picture(key, f"Share of predictions up to each {what}", about, 222)
    picture.up(y, [0, 0.25, 0.5, 0.75, 1], LEFT - 2, RIGHT, percent_short)
    picture.across(x, ticks_of(x), 186, 12)
    places = [(LEFT, y(0))]
    for i, (value, share) in enumerate(steps_up):
        (across, before), there = places[-1], (x(value), y(share))
        if there[0] - across >= 2.5 or before - there[1] >= 2 or i == len(steps_up) - 1:  # what the eye can tell apart
            places += [(there[0], before), there]
    picture.path([*places, (RIGHT, places[-1][1])], "line")
    for q, value in marks:
        at, height = x(value), y(q)
        picture.path([(LEFT, height), (at, height), (at, 186)], "cut")
        picture.dot(at, height, 4)
        label = number(value, 3)
        if at - LEFT > length(label) + 10:  # above the curve, or else below it
            picture.words(at - 7, height - 6, label, "end", "strong")
        else:
            picture.words(at + 8, height + 14, label, kind="strong")
    picture.words((LEFT + RIGHT) / 2, 218, text(what), "middle")
    return picture.svg()


def forest(key, rows, whole, what="cost", line=None, form=short, sides=()):
    """A line per segment. rows: (name, cost, (low, high) or None, words at the right); whole: the cost of all, where a dashed line is.
    sides: what is said left and right of it, where these lines are differences, and ``line`` names it. Returns (SVG, whether an interval is
    cut off)."""
    costs = [cost for _, cost, *_ in rows if cost is not None and math.isfinite(cost)]
    costs += [whole] if whole is not None and math.isfinite(whole) else []
    ends = [end for *_, pair, _ in rows if pair is not None for end in pair if math.isfinite(end)]
    least, most = (min(costs), max(costs)) if costs else (0.0, 1.0)
    reach = (most - least) or abs(most) or 1.0
    beyond = reach * (3.0 if sides else 0.6)
    low, high = max(min(ends + [least]), least - beyond), min(max(ends + [most]), most + beyond)
    if sides:
        low -= 0.06 * (high - low)
    elif least >= 0 and low < 0.35 * high:
        low = 0.0
    high += 0.03 * (high - low) or abs(high) * 0.1 or 1.0
    x, each, top = Scale(low, high, 8, RIGHT - 4), 34, 24
    bottom = top + each * len(rows) + 4
    picture = Picture(
        key,
        f"{what} of each {'segment' if line is None else 'line'}{' with its interval' * bool(ends)}",
        f"{len(rows)} segments; all together {number(whole)}" if line is None else f"{count(len(rows), 'line')}; {line}",
        bottom + 40,
    )
    picture.across(x, ticks_of(x), bottom, top, form)
    if whole is not None and math.isfinite(whole):
        at = x(whole)
        picture.line(at, top - 4, at, bottom, "whole")
        label = f"all: {number(whole)}" if line is None else line
        half = max(40.0, length(label) / 2)
        picture.words(min(max(at, half), WIDTH - half), top - 10, label, "middle", "wholetext")
    cut = False
    for i, (name, cost, pair, words) in enumerate(rows):
        y = top + each * i
        if words:
            picture.words(RIGHT, y + 14, words, "end", "over")
        room = RIGHT - 16 - length(words)
        picture.words(4, y + 14, fitted(name or "(empty)", room), kind="name")
        if cost is None or not math.isfinite(cost):
            picture.words(RIGHT, y + 29, "no cost" if cost is None else number(cost), "end")
            continue
        if pair is not None and all(map(math.isfinite, pair)):
            cut |= not (x.holds(pair[0]) and x.holds(pair[1]))
            picture.path([(x(pair[0]), y + 25), (x(pair[1]), y + 25)], "whisker")
        picture.dot(x(cost), y + 25, 4.5)
    picture.words(WIDTH / 2, bottom + 35, text(what), "middle")
    for words, place, anchor in zip(sides, (4, RIGHT), ("start", "end"), strict=False):
        picture.words(place, bottom + 35, words, anchor, "strong")
    return picture.svg(), cut


def sides_bars(key, rows):
    """How much each of two has, B from the left and A from the right. rows: (name, share of B, share of A)."""
    each, top, start, stop = 44, 8, 8, RIGHT - 4
    bottom = top + each * len(rows)
    about = "; ".join(f"{name}: B {percent(b)}, A {percent(a)}" for name, b, a in rows)
    picture = Picture(key, "How often which is better", about, bottom + 22)
    x = Scale(0, 1, start, stop)
    picture.across(x, [0, 0.25, 0.5, 0.75, 1], bottom, bottom, percent_short)
    for i, (name, b, a) in enumerate(rows):
        y, words = top + each * i, f"B {percent(b)}, A {percent(a)}"
        picture.words(RIGHT, y + 12, words, "end")
        picture.words(4, y + 12, fitted(name or "(empty)", RIGHT - 16 - length(words)), kind="name")
        picture.rect(start, y + 18, stop - start, 14, "share")
        picture.rect(start, y + 18, x(b) - start, 14, "bar", f"B better: {percent(b)}")
        picture.rect(x(1 - a), y + 18, stop - x(1 - a), 14, "other", f"A better: {percent(a)}")
    picture.line(x(0.5), top + 14, x(0.5), bottom, "whole")
    return picture.svg()


def reliability(key, bins, said, happened):
    """How often it happened against how sure the predictions were. bins: (low, high, n, confidence, share, (low, high) or None); said and
    happened name the axes. Circles grow with n; below stand bars of n."""
    x, y = Scale(0, 1, LEFT, RIGHT), Scale(0, 1, 318, 24)
    most = max(n for _, _, n, *_ in bins)
    picture = Picture(key, "Reliability diagram", "; ".join(f"{percent(c)}: {percent(s)}" for _, _, _, c, s, _ in bins), 414)
    picture.up(y, [0, 0.25, 0.5, 0.75, 1], LEFT - 2, RIGHT, percent_short)
    picture.across(x, [0, 0.25, 0.5, 0.75, 1], 318, 24, percent_short)
    picture.line(x(0), y(0), x(1), y(1), "whole")
    picture.words(RIGHT - 4, y(0) - 8, "dashed: as often as said", "end", "wholetext")
    for low, high, n, sure, share, pair in bins:
        if pair is not None:
            picture.path([(x(sure), y(pair[0])), (x(sure), y(pair[1]))], "thin")
        tip = f"{count(n, 'prediction')}: said {percent(sure)}, was so {percent(share)}"
        picture.dot(x(sure), y(share), 3 + 4 * math.sqrt(n / most), tip)
        height = 34 * n / most
        picture.rect(x(low) + 0.5, 390 - height, x(high) - x(low) - 1, height, "share", count(n, "prediction"))
    picture.line(LEFT, 390, RIGHT, 390, "axis")
    picture.words(RIGHT, 352, f"up to {most:,} predictions", "end")
    picture.words((LEFT + RIGHT) / 2, 408, text(said), "middle")
    picture.words(2, 10, text(happened))
    return picture.svg()


def series(key, stretches, whole, marks=(), what="cost"):
    """The cost along the rows. stretches: (start, stop, cost, (low, high) or None); whole: the cost of all; marks: rows where a file
    begins."""
    seen = [part for part in stretches if part[2] is not None and math.isfinite(part[2])]
    costs = [cost for _, _, cost, _ in seen] + ([whole] if whole is not None and math.isfinite(whole) else [])
    ends = [end for *_, pair in seen if pair is not None for end in pair if math.isfinite(end)]
    least, most = (min(costs), max(costs)) if costs else (0.0, 1.0)
    reach = (most - least) or abs(most) or 1.0
    low, high = max(min(ends + [least]), least - reach / 2), min(max(ends + [most]), most + reach / 2)
    low = 0.0 if least >= 0 and low < 0.5 * high else low
    high = high if high > low else low + (abs(low) or 1.0)
    last = stretches[-1][1]
    x, y = Scale(0, last, LEFT + 18, RIGHT), Scale(low, high, 186, 14)
    picture = Picture(key, f"{what} along the rows", f"{len(stretches)} stretches of rows, 0 to {last:,}", 222)
    picture.up(y, steps(y.low, y.high, 4), LEFT + 16, RIGHT)
    picture.across(x, steps(0, last, 5), 186, 186, lambda row: f"{row:,.0f}")
    for mark in marks:
        picture.line(x(mark), 14, x(mark), 186, "cut")
    for run in runs(seen):
        outline = [place for place in run if place[3] is not None and all(map(math.isfinite, place[3]))]
        upper = [(x((a + b) / 2), y(pair[1])) for a, b, _, pair in outline]
        lower = [(x((a + b) / 2), y(pair[0])) for a, b, _, pair in outline]
        picture.path(upper + lower[::-1], "band", close=True)
    if whole is not None and math.isfinite(whole):
        picture.line(LEFT + 18, y(whole), RIGHT, y(whole), "whole")
    for run in runs(seen):
        picture.path([(x((a + b) / 2), y(cost)) for a, b, cost, _ in run], "line")
    for a, b, cost, pair in seen if len(seen) <= 64 else ():
        words = f"rows {a:,} to {b - 1:,}: {number(cost)}" + (f" ({interval(pair, 3)})" if pair else "")
        picture.dot(x((a + b) / 2), y(cost), 2.6, words)
    picture.words((LEFT + 18 + RIGHT) / 2, 218, "row, counted over all files", "middle")
    return picture.svg()


def runs(stretches):
    """Stretches in lists of neighbours."""
    found = []
    for part in stretches:
        if found and found[-1][-1][1] == part[0]:
            found[-1].append(part)
        else:
            found.append([part])
    return found
