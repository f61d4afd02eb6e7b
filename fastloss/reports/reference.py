"""The reference of the losses, made from their definitions."""

import inspect
import textwrap

from fastloss.losses import definitions, find
from fastloss.losses.spec import TERMS
from fastloss.reports.table import plain_table, table

PARTS = ("value", "gradient", "hessian")


def listing(stream=None):
    """All losses by family, as text."""
    families = {}
    for definition in definitions():
        families.setdefault(definition.family, []).append((definition.name, ", ".join(definition.aliases), definition.formula))
    parts = [f"{family}\n\n{table(('name', 'aliases', 'formula'), rows, stream=stream).rstrip()}\n" for family, rows in families.items()]
    return "\n".join(parts) + "\n`fastloss losses NAME` shows one of them in full.\n"


def sources(definition):
    """{"value": source text, ...} of the scalar formulas as they are defined, or of a cost's formulas of sums; of a loss of rows
    {"program": its class}; empty for a cost derived from another loss."""
    if definition.base:
        return {}
    if definition.own and not definition.rows:
        return {part: text.text for part, text in definition.texts.items()}
    if definition.terms:
        functions = {part: vars(definition.body)[part] for part in ("value", "slopes")}
        return {part: textwrap.dedent(inspect.getsource(function)).rstrip() for part, function in functions.items()}
    if definition.rows:
        return {"program": textwrap.dedent(inspect.getsource(definition.body)).rstrip()}
    return {part: textwrap.dedent(inspect.getsource(definition.functions[part])).rstrip() for part in PARTS}


def described(definition):
    """A definition as plain data."""
    examples = [
        {"target": e[0], "prediction": e[1], "value": e[2], "parameters": e[3] if len(e) > 3 else {}} for e in definition.examples
    ]  # fmt: skip
    parameters = {key: {"default": p.default, "allowed": p.allowed(), "doc": p.doc} for key, p in definition.parameters.items()}
    return {
        "name": definition.name,
        "aliases": definition.aliases,
        "family": definition.family,
        "summary": definition.summary,
        "formula": definition.formula,
        "target": str(definition.target),
        "prediction": str(definition.prediction),
        "parameters": parameters,
        "options": list(definition.options),
        "notes": definition.notes,
        "source": definition.source,
        "derived_from": definition.base,
        "derived_by": {None: None, "sqrt": "square root", "exp": "exponential"}[definition.outer],
        "sums": {name: TERMS[name].formula for name in definition.terms},
        "examples": examples,
        "code": sources(definition),
    }


def reference(name):
    """The reference of one loss, as text. ValueError for an unknown name."""
    definition = find(name)
    facts, spec = described(definition), f"{definition.module}:{definition.qualname}" if definition.own else definition.name
    lines = [facts["name"], "=" * len(facts["name"]), "", *textwrap.wrap(facts["summary"], 100), ""]
    for label, key in (("formula", "formula"), ("target", "target"), ("prediction", "prediction"), ("source", "source")):
        lines += [f"{label:<12}{facts[key]}"] * bool(facts[key])
    lines.append(f"{'aliases':<12}{', '.join(facts['aliases']) or 'none'}")
    lines.append(f"{'family':<12}{facts['family']}")
    if facts["derived_from"]:
        lines.append(f"{'made of':<12}the {facts['derived_by']} of the cost of {facts['derived_from']}")
    if facts["sums"]:
        lines.append(f"{'made of':<12}the sums over all samples of {', '.join(facts['sums'].values())}, each times sample_weight")
    if facts["parameters"]:
        lines += ["", "parameters"]
        for key, p in facts["parameters"].items():
            lines.append(f"  {key} = {p['default']}")
            text = "; ".join(filter(None, (p["doc"], p["allowed"])))
            lines += textwrap.wrap(text, 96, initial_indent="      ", subsequent_indent="      ")
        key, p = next(iter(facts["parameters"].items()))
        lines += ["", f"  as in: --loss {spec}:{key}={p['default']}"]
    if facts["options"]:
        lines.append(f"{'options':<12}{', '.join(facts['options'])}")
    if facts["notes"]:
        lines += ["", "notes", *textwrap.wrap(facts["notes"], 98, initial_indent="  ", subsequent_indent="  ")]
    if facts["examples"]:
        lines += ["", "examples", *(f"  {line}" for line in examples_table(facts["examples"]).splitlines())]
    for text in facts["code"].values():
        lines += ["", textwrap.indent(text, "    ")]
    return "\n".join(lines) + "\n"


def examples_table(examples):
    rows = [
        (repr(e["target"]), repr(e["prediction"]), ", ".join(f"{k}={v!r}" for k, v in e["parameters"].items()), repr(e["value"]))
        for e in examples
    ]  # fmt: skip
    headings = ("target", "prediction", "parameters", "loss")
    if not any(row[2] for row in rows):
        headings, rows = headings[:2] + headings[3:], [row[:2] + row[3:] for row in rows]
    return plain_table(headings, rows)
