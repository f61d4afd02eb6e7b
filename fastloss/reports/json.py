"""Results as JSON: strict (NaN and infinities are the strings "nan", "inf", "-inf"), doubles so that reading them back gives the same."""

import json
import math

from fastloss.reports.answers import answers_document

# raised when a field changes its meaning or goes; fields may be added without
SCHEMA = 1


def dumps(document):
    """Indented JSON text, its last line ended."""
    return json.dumps(strict(document), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def strict(value):
    """The same with what JSON has: text keys, lists, finite numbers."""
    if isinstance(value, dict):
        return {str(key): strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return strict(value.item()) if hasattr(value, "item") else str(value)


def document_of(found, version, **fields):
    """The document of what was found in files: what all of these have, and these fields."""
    head = {"schema": SCHEMA, "fastloss": version, "inputs": list(found.files), "columns": found.columns}
    return head | fields | {"notes": list(found.notes)}


def numbers(result):
    """What a Result and a ClassResult have in common."""
    return {"cost": result.cost, "rows": result.n, "nan": result.n_nan, "infinite": result.n_inf, "weight_sum": result.weight_sum}


def evaluation_document(evaluation, version, engine):
    """An Evaluation as the document of `fastloss eval --json`. ``engine``: what fl.info() says."""
    results = [{"loss": r.spec, "name": r.name, **numbers(r)} for r in evaluation.results]
    for document, result in zip(results, evaluation.results, strict=True):
        if result.classes is not None:
            document["classes"] = [{"class": evaluation.class_name(label), **numbers(r)} for label, r in result.classes.items()]
    return {
        "schema": SCHEMA,
        "fastloss": version,
        "inputs": list(evaluation.files),
        **({"left_out": list(evaluation.left_out)} if evaluation.left_out else {}),
        **({"missing": evaluation.missing} if evaluation.missing else {}),
        "columns": evaluation.columns,
        **({"classes": evaluation.classes} if evaluation.classes else {}),
        "rows": evaluation.rows,
        "results": results,
        **answers_document(evaluation),
        "notes": list(evaluation.notes),
        "engine": engine,
        "timing": {"seconds": evaluation.seconds, "bytes": evaluation.bytes_read},
    }


def inspection_document(inspections, version):
    """Inspections as the document of `fastloss inspect --json`."""
    return {"schema": SCHEMA, "fastloss": version, "files": [inspected_file(each) for each in inspections]}


def inspected_file(found):
    sizes = found.groups
    return {
        "path": found.path,
        "format": found.format,
        "bytes": found.bytes,
        "rows": found.rows,
        "columns": [{"name": n, "kind": c.kind, "type": c.type, "width": c.width} for n, c in found.columns.items()],
        "row_groups": sizes and {"count": len(sizes), "smallest": min(sizes), "largest": max(sizes)},
        "guess": found.guess,
        "memory": found.memory,
        "advice": found.advice,
        "error": None if found.error is None else str(found.error),
    }
