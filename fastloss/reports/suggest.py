"""A Suggestion for the terminal, and as JSON."""

import textwrap

from fastloss.reports.json import document_of

WIDTH = 110
TASKS = {
    "binary": "two classes", "proportion": "targets between 0 and 1", "counts": "counts", "amounts": "amounts, never negative and wide",
    "regression": "regression: real numbers", "multiclass": "a label of C classes and a score for each",
    "one-hot": "rows of targets with a single 1", "multilabel": "rows of labels 0 and 1", "distributions": "rows of shares",
    "classes": "labels of several classes, and one number per row", "none": "no row is complete",
}  # fmt: skip


def suggestion_text(suggestion):
    """What is suggested, the best first, then what does not fit."""
    head = f"task: {TASKS[suggestion.task]}"
    head += f"; labels are {suggestion.labels}" * (suggestion.labels is not None)
    head += f"; predictions are of the kind: {suggestion.scores}" * (suggestion.scores is not None)
    parts = [wrapped(head)]
    width = max((len(found.loss) for found in suggestion.recommended), default=0)
    before = None
    for found in suggestion.recommended:
        because = f"; here {found.because}" * (found.because != before)
        before = found.because
        how = f"; {found.how}" * bool(found.how)
        parts.append(wrapped(f"{found.reason}{because}{how}", f"{found.loss:<{width}}  "))
    if suggestion.warnings:
        parts.append("")
        width = max(len(misfit.about) for misfit in suggestion.warnings)
        for misfit in suggestion.warnings:
            remedy = f"; {misfit.remedy}" * bool(misfit.remedy)
            parts.append(wrapped(f"{misfit.text}{remedy}", f"warning  {misfit.about:<{width}}  "))
    return "\n".join(parts) + "\n"


def wrapped(text, begin=""):
    """Lines of at most WIDTH, all but the first indented as its text."""
    return textwrap.fill(
        text, WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin), break_long_words=False, break_on_hyphens=False
    )  # fmt: skip


def suggestion_document(suggestion, version):
    """The document of `fastloss suggest --json`."""
    return document_of(
        suggestion, version, rows=suggestion.rows, task=suggestion.task, labels=suggestion.labels, scores=suggestion.scores,
        recommended=[{"rank": rank, **vars(found)} for rank, found in enumerate(suggestion.recommended, 1)],
        warnings=[vars(misfit) for misfit in suggestion.warnings], facts=suggestion.facts,
    )  # fmt: skip
