"""An evaluation as a page: what heads it, what stands out, and its sections."""

import math
import os

from fastloss.reports import html_answers, html_losses
from fastloss.reports.html_losses import STRETCHES
from fastloss.reports.html_page import count, interval, number, page, percent, points, text, tiles, warning
from fastloss.reports.html_segments import label, parts_of, segments
from fastloss.reports.html_told import Told, interval_of, tells
from fastloss.reports.html_words import bands, loss_title, meaning


def document(evaluation, losses):
    """The page as text. losses: how many have pictures of their own."""
    told = Told(evaluation, losses)
    makers = (html_answers.costs, segments, html_losses.spread, html_losses.calibration, html_losses.along, html_answers.worst,
              html_answers.data)  # fmt: skip
    sections = [section for section in (make(told) for make in makers) if section is not None]
    return page(title(told), head(told), sections)


def title(told):
    """What was evaluated, as plain text."""
    paths = [file["path"] for file in told.evaluation.files]
    names = [os.path.basename(str(path)) or str(path) for path in paths]
    return f"Predictions in {names[0]}" if len(names) == 1 else f"Predictions in {len(names):,} files"


def head(told):
    """Title, headline, key figures, and what there is to know."""
    first, evaluation = told.results[0], told.evaluation
    found = f'<p class="eyebrow">Evaluation report</p><h1>{text(title(told), 120)}</h1>'
    level, bounds = told.confidence(), interval_of(told, first)
    what = f"<b>{loss_title(first)}</b>"
    if math.isnan(first.cost):
        lost = count(first.n_nan, "loss", "losses")
        lede = f"The cost of {count(first.n, 'prediction')} by {what} is not a number: {lost} could not be computed."
    elif math.isinf(first.cost):
        lost = count(first.n_inf, "of them has", "of them have")
        lede = f"The average loss of {count(first.n, 'prediction')} by {what} is infinite: {lost} an infinite loss."
    else:
        between = f" (at {100 * level:g} % confidence {interval(bounds, 3)})" if tells(bounds) else ""
        lede = f"On {count(first.n, 'prediction')}, the cost by {what} is <b>{number(first.cost)}</b>{between}. Lower is better. "
        lede += meaning(told.losses[first.name], first.cost)
    found += f'<p class="lede">{lede}</p>'
    if math.isnan(first.cost) and evaluation.state.nan == "propagate":
        found += warning("To leave such predictions out, ask again with <code>--nan skip</code> (<code>nan='skip'</code> in Python).")
    if evaluation.shard is not None:
        found += warning("These are the numbers of part {} of {} of the data alone.".format(*evaluation.shard))
    if evaluation.missing is not None:
        found += warning(f"These are not the numbers of all the data: {text(evaluation.missing['text'], 600)}.")
    if evaluation.left_out:
        files = count(len(evaluation.left_out), "file was", "files were")
        found += warning(f"{files} left out, because of errors: nothing of them is in these numbers. See <a href='#data'>below</a>.")
    cells = [("predictions", f"{evaluation.rows:,}", f"in {count(len(evaluation.files), 'file')}")]
    for result in told.results[:5]:
        bounds = interval_of(told, result)
        words = f"{interval(bounds, 3)} at {100 * level:g} %" if tells(bounds) else ""
        cells.append((loss_title(result), number(result.cost), words))
    if evaluation.calibration is not None and math.isfinite(evaluation.calibration.ece):
        cells.append(("calibration error", percent(evaluation.calibration.ece), "how far probabilities are off, on average"))
    return found + tiles(cells) + points(findings(told))


def findings(told):
    """Sentences on what stands out."""
    evaluation, first, found = told.evaluation, told.results[0], []
    if first.n_nan and evaluation.state.nan == "skip":
        lost = count(first.n_nan, "prediction was", "predictions were")
        found.append(f"Of {evaluation.rows:,} predictions, {lost} left out, because the loss could not be computed.")
    one = (evaluation.spread or {}).get(first.name)
    if one is not None and math.isfinite(first.cost):
        parts = bands(one.histogram, (0.01, 0.05))
        if parts and parts[0.05] > 0.1 and one.n >= 100:
            share = 0.01 if parts[0.01] >= 0.5 else 0.05
            whole = "the cost" if told.losses[first.name].definition.outer is None else "the sum of losses"
            found.append(f"The worst {100 * share:g} % of the predictions make {percent(parts[share])} of {whole}.")
    if evaluation.segments is not None and len(evaluation.segments) > 1:
        parts, total = parts_of(told, first)
        weights = math.fsum(weight for _, _, weight, _ in parts)
        if total is not None and weights:
            segment, part, weight, add = parts[0]
            if add is not None and add / total > 1.1 * weight / weights:
                found.append(
                    f"The largest part of the cost, {percent(add / total)}, comes from {spelled(told, segment)}, which has "
                    f"{percent(weight / weights)} of the predictions; its cost is {number(part.cost)}."
                )
            apart = [
                (part.cost, segment, part) for segment, part, weight, _ in parts
                if part.interval is not None and part.interval[0] > first.cost and weight >= 0.001 * weights and part.n >= 30
            ]  # fmt: skip
            if apart and max(apart, key=lambda item: item[0])[1] is not segment:
                _, segment, part = max(apart, key=lambda item: item[0])
                found.append(f"Clearly worse than average is {spelled(told, segment)}: a cost of {number(part.cost)}.")
    return found + changes(told, first)


def changes(told, result):
    """A sentence on where the cost is highest along the data, if it is much higher than the whole cost and not by chance."""
    stretches = None if told.evaluation.analysis is None else told.evaluation.analysis.stretches(STRETCHES)
    if not stretches or not math.isfinite(result.cost):
        return []
    parts = [(part, part.results[told.positions[result.name]]) for part in stretches if part.n >= 100]
    parts = [(part, one) for part, one in parts if tells(one.interval) and one.interval[0] > result.cost and one.cost > 1.2 * result.cost]
    if not parts or result.cost <= 0:
        return []
    part, one = max(parts, key=lambda pair: pair[1].cost)
    return [f"The cost is not the same along the data: in rows {part.start:,} to {part.stop - 1:,} it is {number(one.cost)}."]


def spelled(told, segment):
    """A segment in a sentence."""
    words = label(told.evaluation.by, segment)
    return text(words if len(segment.values) > 1 else f"{told.evaluation.by[0]} = {words}", 120)
