"""The functions of the face: fl.huber(y_true, y_pred, delta=1.0), the cost of a loss."""

import functools
import inspect

from fastloss.engine.specs import class_of

# A function's parameters are those of its loss, so that help() and editors show them; hence text. What is not a parameter goes to the
# class, which knows what to say. Losses are kept by their parameters: making one takes longer than a small call.
FUNCTION = """
def {name}(y_true, y_pred, sample_weight=None, *, reduction="mean", nan="propagate", n_threads=None, {defaults}**others):
    try:
        loss = configured({names})
    except TypeError:  # not hashable: right or wrong, the class will say
        loss = cls({keywords})
    if others:
        cls(**others)
    if reduction == "mean" and nan == "propagate":
        cost = (loss._calls or loss.calls()).cost(y_true, y_pred, sample_weight, n_threads)
        if cost is not None:
            return cost
    return loss(y_true, y_pred, sample_weight, reduction=reduction, nan=nan, n_threads=n_threads)
"""


@functools.cache
def function_of(definition):
    """The public function of a definition: fl.huber(y_true, y_pred, delta=1.0), the cost."""
    cls, names = class_of(definition), [*definition.parameters, *definition.options]
    room = {
        "cls": cls,
        "configured": functools.lru_cache(typed=True)(lambda *values: cls(*values)),
        "defaults": dict.fromkeys(definition.options) | {name: parameter.default for name, parameter in definition.parameters.items()},
    }
    text = FUNCTION.format(
        name=definition.name,
        defaults="".join(f"{name}=defaults[{name!r}], " for name in names),
        names=", ".join(names),
        keywords=", ".join(f"{name}={name}" for name in names),
    )
    exec(compile(text, f"<fastloss.{definition.name}>", "exec"), room)
    function = room[definition.name]
    shown = inspect.signature(function)
    function.__signature__ = shown.replace(parameters=[one for one in shown.parameters.values() if one.kind is not one.VAR_KEYWORD])
    function.__module__ = "fastloss"
    function.__doc__ = f"The cost of {definition.class_name}, a float.\n\n{cls.__call__.__doc__}\n\n{cls.__doc__}"
    return function
