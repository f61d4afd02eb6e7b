"""From text or a definition to a configured loss: the classes, what specs mean, what own losses take along."""

import functools
from difflib import get_close_matches

from fastloss.engine.configured import Loss
from fastloss.losses import find

WORDS = {"none": None, "true": True, "false": False}
_classes = {}


def forget():
    """Read specs anew: a loss was defined, or defined again."""
    _read.cache_clear()
    for forget in FORGETTERS:
        forget()


FORGETTERS = []  # of those who keep what specs mean


def configured(definition, parameters):
    """For pickle."""
    return class_of(definition)(**parameters)


def documents(losses):
    """The definitions of those of configured losses that are the user's own, as JSON; [] if there are none."""
    own = [one.definition for loss in losses for one in loss.computed() if one.definition.own and not one.definition.rows]
    if not own:
        return []
    from fastloss.engine.owndata import document_of

    return [document_of(definition) for definition in dict.fromkeys(own)]


def learn(found):
    """Know the losses of ``documents`` by their names. ValueError where a name means something else here."""
    if found:
        from fastloss.engine import owndata

        owndata.learn(found)


def base_of(definition):
    """The class that the classes of such definitions derive from: Loss, RowLoss, or SumsLoss."""
    from fastloss.engine.rowlosses import RowLoss
    from fastloss.engine.sums import SumsLoss

    if definition.rows and definition.own:
        from fastloss.engine.ownrows import OwnRowLoss

        return OwnRowLoss
    return RowLoss if definition.rows else SumsLoss if definition.terms else Loss


def class_of(definition):
    """The public class of a definition: Huber, LogLoss ..."""
    if definition not in _classes:
        parameters = "".join(
            f"\n    {name}  {parameter.doc}{'; ' * bool(parameter.doc)}{parameter.allowed()}, default {parameter.default!r}"
            for name, parameter in definition.parameters.items()
        )
        facts = f"    formula     {definition.formula}\n" * bool(definition.formula)
        facts += f"    target      {definition.target}\n    prediction  {definition.prediction}{parameters}"
        facts += f"\n    source      {definition.source}" * bool(definition.source)
        notes = f"    {definition.notes}\n\n" * bool(definition.notes)
        doc = f"{definition.doc.strip()}\n\n{facts}\n\n{notes}    {base_of(definition).__doc__}"
        body = {"__slots__": (), "definition": definition, "__module__": "fastloss", "__qualname__": definition.class_name, "__doc__": doc}
        _classes[definition] = type(definition.class_name, (base_of(definition),), body)
    return _classes[definition]


def get(spec):
    """A configured loss from text, ``"huber:delta=2"``: a name or alias, and parameters. A configured loss is returned as it is."""
    if isinstance(spec, Loss):
        return spec
    if isinstance(spec, type) and issubclass(spec, Loss):
        return spec()
    if not isinstance(spec, str):
        raise TypeError(f"a loss is given as text ('huber:delta=2') or as a configured loss (Huber(delta=2)), got {spec!r}")
    return _read(spec)


@functools.lru_cache(maxsize=256)
def _read(spec):
    if "*" in spec or " + " in spec:
        from fastloss.engine.composite import read

        if (found := read(spec)) is not None:
            return found
    name, colon, rest = spec.partition(":")
    definition = find(name)
    given = {}
    for item in rest.split(",") if colon else ():
        key, equals, value = item.partition("=")
        key, value = key.strip(), value.strip()
        names = (*definition.parameters, *definition.options)
        if not equals or key not in names or key in given:
            known = ", ".join(names) or "none"
            near = get_close_matches(key, [one for one in names if one not in given], n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            if "class_weight" in given:
                hint = "; several weights are separated by semicolons: class_weight=1;2;3"
            raise ValueError(
                f"cannot read {item!r} in {spec!r}: `{definition.name}` takes name=value, each once, of its parameters: {known}{hint}"
            )
        try:
            numeric = key in definition.parameters  # options read their text themselves: integers that float64 has not, lists
            given[key] = WORDS[value.lower()] if value.lower() in WORDS else float(value) if numeric else value
        except ValueError:
            given[key] = value
    return class_of(definition)(**given)
