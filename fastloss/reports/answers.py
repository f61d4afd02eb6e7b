"""What an evaluation answers besides costs, for the terminal: segments, spread, worst samples, intervals, calibration."""

from fastloss.reports.table import costs_table, table

MISSING = "(missing)"


def segments_table(evaluation, stream=None):
    """The costs of each segment."""
    lines = [(segment, result) for segment in evaluation.segments for result in segment.results]
    columns = {"loss": [result.name for _, result in lines]} if len(evaluation.results) > 1 else {}
    for i, name in enumerate(evaluation.by):
        columns[name if name not in ("loss", "cost", "rows") else f"by {name}"] = [value_text(segment.values[i]) for segment, _ in lines]
    results, more = [result for _, result in lines], {}
    level = next((found.confidence for found in (evaluation.spread or {}).values() if found is not None), None)
    if level is not None:
        more["std. error"] = [number(result.standard_error) for result in results]
        more[interval_name(level)] = list(map(interval_text, results))
    return costs_table(columns, results, stream, more)


def value_text(value):
    return MISSING if value is None else str(value)


def number(value):
    return "" if value is None else f"{value:.6g}"


def spread_table(evaluation, stream=None):
    """Quantiles, deviation and normal interval of the losses of single samples."""
    shown = {name: found for name, found in evaluation.spread.items() if found is not None}
    quantiles = next((list(found.quantiles) for found in shown.values()), [])
    percent = {f"{100 * q:g}%": [number(found.quantiles[q]) for found in shown.values()] for q in quantiles}
    columns = {"loss of a sample": list(shown), "min": [number(found.min) for found in shown.values()], **percent}
    columns |= {name: [number(getattr(found, field)) for found in shown.values()] for name, field in (("max", "max"), ("std", "std"))}
    columns |= interval_columns(shown.values())
    return table(list(columns), list(zip(*columns.values(), strict=True)), right=tuple(columns)[1:], stream=stream)


def interval_columns(found):
    """The columns of results that have a standard error and an interval."""
    found = list(found)
    name = interval_name(found[0].confidence) if found else "interval"
    return {"std. error": [number(result.standard_error) for result in found], name: list(map(interval_text, found))}


def interval_name(confidence):
    return f"{100 * confidence:g}% interval of the cost"


def interval_text(result):
    return "" if result.interval is None else "{} to {}".format(*map(number, result.interval))


def bootstrap_table(evaluation, stream=None):
    found = evaluation.bootstrap
    columns = {"bootstrap": list(found), "replicates": [str(len(result.replicates)) for result in found.values()]}
    columns |= interval_columns(found.values())
    return table(list(columns), list(zip(*columns.values(), strict=True)), right=tuple(columns)[1:], stream=stream)


def worst_table(evaluation, stream=None):
    """The worst samples of each loss, with their places."""
    lines = [(name, sample) for name, samples in evaluation.worst.items() for sample in samples]
    columns = {
        "worst by": [name for name, _ in lines],
        "loss": [repr(sample.loss) for _, sample in lines],
        "row": [str(sample.row) for _, sample in lines],
        "target": [target_text(evaluation, sample) for _, sample in lines],
        "prediction": [prediction_text(sample.prediction) for _, sample in lines],
    }
    if any(sample.weight is not None for _, sample in lines):
        columns["weight"] = [number(sample.weight) for _, sample in lines]
    columns["file"] = [sample.file for _, sample in lines]
    return table(list(columns), list(zip(*columns.values(), strict=True)), right=("row",), stream=stream)


def target_text(evaluation, sample):
    named = isinstance(sample.target, int) and not isinstance(sample.target, bool) and evaluation.classes is not None
    return str(evaluation.class_name(sample.target)) if named else prediction_text(sample.target)


def prediction_text(value, shown=5):
    """A number, or the first few of a row of them."""
    if isinstance(value, tuple):
        return " ".join(map(number, value[:shown])) + " ..." * (len(value) > shown)
    return str(value) if isinstance(value, int) else repr(value)


def calibration_text(evaluation):
    return f"calibration: {evaluation.calibration!r}\n"


def answers_text(evaluation, stream=None):
    """All of them that were asked for, an empty line before each."""
    parts = [(evaluation.segments, segments_table), (evaluation.spread, spread_table), (evaluation.bootstrap, bootstrap_table),
             (evaluation.worst, worst_table)]  # fmt: skip
    texts = [make(evaluation, stream) for found, make in parts if found is not None]
    return "".join("\n" + text for text in [*texts, *([calibration_text(evaluation)] if evaluation.calibration else [])])


def answers_document(evaluation):
    """The same for `--json`."""
    document = {}
    if evaluation.segments is not None:
        document["by"] = list(evaluation.by)
        more = () if evaluation.spread is None else ("standard_error", "interval")
        document["segments"] = [
            {"values": list(segment.values), "rows": segment.n, "results": [
                {"name": r.name, "cost": r.cost, "rows": r.n, "nan": r.n_nan, "infinite": r.n_inf, "weight_sum": r.weight_sum,
                 **{field: getattr(r, field) for field in more}} for r in segment.results
            ]} for segment in evaluation.segments
        ]  # fmt: skip
    if evaluation.spread is not None:
        document["spread"] = [spread_document(name, found) for name, found in evaluation.spread.items() if found is not None]
    if evaluation.worst is not None:
        fields = ("loss", "file", "row", "target", "prediction", "weight")
        document["worst"] = [
            {"name": name, "samples": [{field: getattr(sample, field) for field in fields} for sample in samples]}
            for name, samples in evaluation.worst.items()
        ]
    if evaluation.bootstrap is not None:
        document["bootstrap"] = [
            {"name": name, "replicates": len(found.replicates), "standard_error": found.standard_error, "interval": found.interval,
             "confidence": found.confidence} for name, found in evaluation.bootstrap.items()
        ]  # fmt: skip
    if evaluation.calibration is not None:
        found, fields = evaluation.calibration, ("low", "high", "n", "weight", "confidence", "accuracy")
        document["calibration"] = {
            **{name: getattr(found, name) for name in ("ece", "mce", "rms", "n", "n_nan", "n_ignored")},
            "bins": [{field: getattr(part, field) for field in fields} for part in found.bins],
        }
    return document


def spread_document(name, found):
    fields = ("min", "max", "mean", "std", "standard_error", "interval", "confidence")
    histogram = found.histogram
    return {
        "name": name, "rows": found.n, "nan": found.n_nan, **{field: getattr(found, field) for field in fields},
        "quantiles": [{"q": q, "loss": loss} for q, loss in found.quantiles.items()],
        "histogram": {field: getattr(histogram, field).tolist() for field in ("low", "high", "count", "weight")},
    }  # fmt: skip
