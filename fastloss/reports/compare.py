"""Two sets of predictions compared, for the terminal and as JSON."""

from fastloss.reports.answers import number, prediction_text, value_text
from fastloss.reports.json import SCHEMA
from fastloss.reports.table import bytes_text, table

MANY = 'of {} segments, some p-values are small by accident: those under "p, Holm" are adjusted for that (Holm\'s method), by loss'


def filled(columns, stream, left=()):
    """The table of columns, without those that say nothing."""
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    right = tuple(name for name in shown if name not in left)
    return table(list(shown), list(zip(*shown.values(), strict=True)), right=right, stream=stream)


def exact(value):
    return "" if value is None else repr(float(value))


def count(value):
    return "" if value is None else str(value)


def p_value(value):
    return "" if value is None else f"{value:.3g}" if value else "< 1e-300"


def interval_text(interval):
    return "" if interval is None else "{} to {}".format(*map(number, interval))


def counts_columns(results):
    """Of results, how often which side is better, and what is no number."""
    return {
        "A better": [count(r.better_a) for r in results], "B better": [count(r.better_b) for r in results],
        "equal": [count(r.equal) for r in results], "sign test p": [p_value(r.p_value) for r in results],
        "p, Holm": [p_value(r.p_adjusted) for r in results],
    }  # fmt: skip


def specials_columns(results):
    return {
        "pairs": [str(r.n) for r in results],
        **({"NaN": [str(r.n_nan) for r in results]} if any(r.n_nan for r in results) else {}),
        **({"infinite": [str(r.n_inf) for r in results]} if any(r.n_inf for r in results) else {}),
        "weight sum": [exact(r.weight_sum) for r in results],
    }


def difference_columns(results):
    percent = f"{100 * results[0].confidence:g}%"
    columns = {"B - A": [number(r.difference) for r in results], "std. error": [number(r.standard_error) for r in results],
               f"{percent} interval": [interval_text(r.interval) for r in results]}  # fmt: skip
    if any(r.bootstrap is not None for r in results):
        columns[f"{percent}, bootstrap"] = [interval_text(r.bootstrap and r.bootstrap.interval) for r in results]
    return columns


def comparison_text(comparison, stream=None):
    """All tables of a FileComparison, an empty line between them."""
    results = comparison.results
    costs = {"cost of A": [exact(r.cost_a) for r in results], "cost of B": [exact(r.cost_b) for r in results]}
    parts = [filled({"loss": [r.spec for r in results]} | costs | specials_columns(results), stream, ("loss", "cost of A", "cost of B"))]
    parts.append(filled({"loss": [r.name for r in results]} | difference_columns(results) | counts_columns(results), stream, ("loss",)))
    if comparison.segments is not None:
        parts.append(segments_table(comparison, stream))
    if comparison.worst is not None:
        parts.append(worst_table(comparison, stream))
    return "\n".join(parts)


def segments_table(comparison, stream=None):
    lines = [(segment, result) for segment in comparison.segments for result in segment.results]
    results = [result for _, result in lines]
    columns = {"loss": [result.name for result in results]} if len(comparison.results) > 1 else {}
    for i, name in enumerate(comparison.by):
        columns[f"by {name}"] = [value_text(segment.values[i]) for segment, _ in lines]
    left = tuple(columns)
    columns |= {"A": [number(r.cost_a) for r in results], "B": [number(r.cost_b) for r in results]}
    columns |= difference_columns(results) | counts_columns(results) | specials_columns(results)
    return filled(columns, stream, left)


def worst_table(comparison, stream=None):
    """The samples whose losses differ most, with their places."""
    lines = [(name, sample) for name, samples in comparison.worst.items() for sample in samples]
    files = any(sample.file_b != sample.file_a for _, sample in lines)
    columns = {
        "differ most by": [name for name, _ in lines],
        **{title: [number(getattr(s, field)) for _, s in lines] for title, field in
           (("B - A", "difference"), ("loss of A", "loss_a"), ("loss of B", "loss_b"))},
        "target": [target_text(comparison, s.target) for _, s in lines],
        "A": [prediction_text(s.prediction_a) for _, s in lines], "B": [prediction_text(s.prediction_b) for _, s in lines],
        "weight": [number(s.weight) for _, s in lines],
        "place in A": [f"{s.file_a}, row {s.row_a}" for _, s in lines],
        **({"place in B": [f"{s.file_b}, row {s.row_b}" for _, s in lines]} if files else {}),
    }  # fmt: skip
    left = ("differ most by", "target", "A", "B", "place in A", "place in B")
    return filled(columns, stream, left) if lines else "no samples differ\n"


def target_text(comparison, target):
    named = isinstance(target, int) and not isinstance(target, bool) and comparison.classes is not None
    return str(comparison.class_name(target)) if named else prediction_text(target)


def notes_of(comparison):
    """What the user should know besides, as sentences. A comparison of arrays has no notes of its own."""
    notes = list(getattr(comparison, "notes", ()))
    for side, unmatched in (("A", getattr(comparison, "unmatched_a", 0)), ("B", getattr(comparison, "unmatched_b", 0))):
        if unmatched:
            notes.append(f"{unmatched} row{'s' * (unmatched != 1)} of {side} left out: the other has none of that key")
    sums = [r.name for r in comparison.results if r.better_a is None]
    if sums:
        notes.append(f"{', '.join(sums)}: computed from sums over all samples, so there are no standard error and no sign test")
    if comparison.segments is not None and len(comparison.segments) > 1:
        notes.append(MANY.format(len(comparison.segments)))
    return notes


def comparison_summary(comparison):
    """One line on what was read."""
    files = len(comparison.files_a) + len(comparison.files_b)
    what = f"{comparison.rows} pair{'s' * (comparison.rows != 1)} of {files} file{'s' * (files != 1)}"
    return f"{what}, {bytes_text(comparison.bytes_read)}, in {comparison.seconds:.2f} s"


FIELDS = (
    "cost_a", "cost_b", "difference", "standard_error", "interval", "confidence", "weight_sum", "better_a", "better_b", "equal", "p_value"
)  # fmt: skip
SAMPLE = (
    "difference", "loss_a", "loss_b", "file_a", "row_a", "file_b", "row_b", "target", "prediction_a", "prediction_b", "weight"
)  # fmt: skip


def result_document(result):
    document = {"loss": result.spec, "name": result.name, "pairs": result.n, "nan": result.n_nan, "infinite": result.n_inf}
    document |= {field: getattr(result, field) for field in FIELDS}
    if result.p_adjusted is not None:
        document["p_holm"] = result.p_adjusted
    if (found := result.bootstrap) is not None:
        document["bootstrap"] = {"replicates": len(found.replicates), "standard_error": found.standard_error, "interval": found.interval}
    return document


def comparison_document(comparison, version, engine, regressions=None):
    """A FileComparison as the document of `fastloss compare --json`. regressions: sentences, or None if no limit was given."""
    document = {
        "schema": SCHEMA, "fastloss": version, "inputs_a": list(comparison.files_a), "inputs_b": list(comparison.files_b),
        "columns": comparison.columns, **({"classes": comparison.classes} if comparison.classes else {}), "pairs": comparison.rows,
        "unmatched_a": comparison.unmatched_a, "unmatched_b": comparison.unmatched_b,
        "results": [result_document(result) for result in comparison.results],
    }  # fmt: skip
    if comparison.segments is not None:
        document["by"] = list(comparison.by)
        document["segments"] = [
            {"values": list(segment.values), "pairs": segment.n, "results": [result_document(result) for result in segment.results]}
            for segment in comparison.segments
        ]
    if comparison.worst is not None:
        document["worst"] = [
            {"name": name, "samples": [{field: getattr(sample, field) for field in SAMPLE} for sample in samples]}
            for name, samples in comparison.worst.items()
        ]
    if regressions is not None:
        document["regressions"] = regressions
    timing = {"seconds": comparison.seconds, "bytes": comparison.bytes_read}
    return document | {"notes": notes_of(comparison), "engine": engine, "timing": timing}
