"""The sections of a report on an evaluation: each says what was asked for, and is not there where nothing was."""

import math

from fastloss.reports import html_reading as reading
from fastloss.reports.html_page import Section, count, interval, name, number, pair, table, text
from fastloss.reports.html_told import interval_of
from fastloss.reports.html_words import loss_title

LOSSES, WORST, CLASSES, FILES, NOTES = 40, 25, 25, 20, 12
SHOWN_VALUES = 4  # of the scores of a row


def costs(told):
    """The table of the losses: always there."""
    evaluation, level = told.evaluation, told.confidence()
    headings, rows = ["loss", "cost", "predictions"], []
    some = {"interval": level is not None, "nan": any(r.n_nan for r in told.results), "inf": any(r.n_inf for r in told.results)}
    some["weight"] = any(r.weight_sum is not None for r in told.results)
    words = {"interval": f"{100 * (level or 0):g} % interval", "nan": "NaN", "inf": "infinite", "weight": "sum of weights"}
    headings += [words[key] for key in words if some[key]]
    for r in told.results[:LOSSES]:
        cells = {"interval": interval(interval_of(told, r)), "nan": number(r.n_nan), "inf": number(r.n_inf)}
        cells["weight"] = number(r.weight_sum, 6)
        cost = text(repr(float(r.cost))) if math.isfinite(r.cost) else number(r.cost)
        rows.append([loss_title(r), cost, number(r.n), *[cells[key] for key in words if some[key]]])
    body = f'<p class="words">{reading.COSTS}</p>'
    if some["interval"]:
        source = "Poisson bootstrap" if evaluation.bootstrap else "normal distribution"
        body += f'<p class="words">{reading.INTERVAL.format(source=source)}</p>'
    body += table("Costs" + (f", the first {LOSSES} of {len(told.results)}" if len(told.results) > LOSSES else ""), headings, rows)
    for r in told.detailed:
        if r.classes:
            body += classes(told, r)
    return Section("costs", "Costs", body)


def classes(told, result):
    """The costs of the rows of each class."""
    order = sorted(result.classes.items(), key=lambda found: (-found[1].n, found[0]))
    rows = [[name(told.evaluation.class_name(label)), number(r.cost), number(r.n)] for label, r in order[:CLASSES]]
    others = order[CLASSES:]
    if others:
        rows.append([count(len(others), "other class", "other classes"), "–", number(sum(r.n for _, r in others))])
    caption = f"By class, {loss_title(result)}: the classes with most predictions first"
    return table(caption, ["class", "cost", "predictions"], rows, rest=(CLASSES,) if others else ())


def worst(told):
    """The samples of the largest losses, with their places."""
    if not any((told.evaluation.worst or {}).values()):
        return None
    body = f'<p class="words">{reading.WORST}</p>{told.only()}'
    seen, made = set(), []
    for result in told.detailed:
        samples, kernel = told.evaluation.worst.get(result.name, ()), told.evaluation.analysis.which[told.positions[result.name]]
        if not samples or kernel in seen:
            continue
        seen.add(kernel)
        several, weighted = len({s.file for s in samples}) > 1, any(s.weight is not None for s in samples)
        headings = ["row", "loss", "target", "prediction", *(["weight"] if weighted else []), *(["file"] if several else [])]
        rows = []
        for s in samples[:WORST]:
            row = [number(s.row), number(s.loss), target(told.evaluation, s.target), value(s.prediction)]
            rows.append(row + ([number(s.weight)] if weighted else []) + ([name(s.file)] if several else []))
        more = f", the first {WORST} of {len(samples)}" if len(samples) > WORST else ""
        caption = f"The largest losses{more}" + ("" if several else f", all in {name(samples[0].file)}")
        made.append(f"<div>{told.heading(result)}{table(caption, headings, rows)}</div>")
    return Section("worst", "The worst predictions", body + (pair(*made) if len(made) > 1 else "".join(made)))


def target(found, given):
    """The target of a sample, by the name of its class where that is known. found: an Evaluation or a FileComparison."""
    known = found.classes is not None and isinstance(given, int) and not isinstance(given, bool)
    return name(found.class_name(given)) if known else value(given)


def value(given):
    """A number as it is in the data, or the first of a row of them."""
    if isinstance(given, tuple):
        return text(" ".join(f"{one:.4g}" for one in given[:SHOWN_VALUES]) + " …" * (len(given) > SHOWN_VALUES))
    return text(repr(given), 30)


def data(told):
    """What was evaluated: files, columns, counts, what was left out, notes."""
    evaluation, r = told.evaluation, told.results[0]
    skipped = ", left out" * (evaluation.state.nan == "skip")
    rows = [
        ["rows read", number(evaluation.rows)],
        [f"losses that are NaN{skipped}", number(r.n_nan)],
        ["infinite losses", number(r.n_inf)],
    ]
    spread = next((found for found in (evaluation.spread or {}).values() if found is not None), None)
    if spread is not None:
        without = max(0, evaluation.rows - spread.n - spread.n_nan)
        rows.append(["rows that do not count: of a label to ignore, or of weight 0", number(without)])
    elif evaluation.calibration is not None and evaluation.calibration.n_ignored:
        rows.append(["rows of a label to ignore", number(evaluation.calibration.n_ignored)])
    for role, words in (("target", "targets"), ("prediction", "predictions"), ("weight", "weights")):
        given = evaluation.columns.get(role)
        if given is not None:
            rows.append([f"column of the {words}", name(", ".join(map(str, given[:9])) if isinstance(given, list | tuple) else given)])
    wide = evaluation.columns.get("prediction_columns")
    if wide is not None:
        rows.append(["columns of a prediction", number(len(wide))])
    if evaluation.by:
        rows.append(["columns of the segments", ", ".join(name(column, 40) for column in evaluation.by[:8])])
    policy = {"propagate": "makes the cost NaN", "skip": "it is left out", "raise": "is refused"}[evaluation.state.nan]
    rows.append(["what a NaN loss does", policy])
    several = f", by {loss_title(r)}" if len(told.results) > 1 else ""
    counted = table(f"What was counted{several}", ["what", "value"], rows, left=2)
    body = pair(counted, files_table(evaluation.files))
    if evaluation.left_out:
        body += sentences("Files that were left out", [one["error"] for one in evaluation.left_out])
    body += sentences("Notes", evaluation.notes)
    return Section("data", "What was evaluated", body)


def files_table(files, of=""):
    """Files with their rows and bytes; of many the largest. of: words that follow the count of them."""
    files, shown = list(files), "in the order in which they were read"
    if len(files) > FILES:
        files, shown = sorted(files, key=lambda file: -file["rows"]), "the largest first"
    lines = [[name(file["path"], 160), number(file["rows"]), number(file["bytes"])] for file in files[:FILES]]
    others = files[FILES:]
    if others:
        sums = [number(sum(file[what] for file in others)) for what in ("rows", "bytes")]
        lines.append([f"the {len(others):,} others together", *sums])
    caption = count(len(files), "file") + of + (f", {shown}" if len(files) > 1 else "")
    return table(caption, ["file", "rows", "bytes"], lines, rest=(FILES,) if others else ())


def sentences(heading, given):
    """A list of data's own sentences below a heading, the first of them; nothing of none."""
    shown = [text(one, 400) for one in given[:NOTES]] + [f"and {count(len(given) - NOTES, 'other')}"] * (len(given) > NOTES)
    return f"<h3>{heading}</h3><ul>{''.join(f'<li>{one}</li>' for one in shown)}</ul>" if shown else ""
