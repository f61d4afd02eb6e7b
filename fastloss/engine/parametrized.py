"""A definition with its parameters fixed: immutable, hashable, picklable."""

import inspect
from difflib import get_close_matches
from types import MappingProxyType


class Signature:
    """The parameters of a loss's class, for help() and editors; of an instance nothing, so that theirs stays that of its call."""

    def __get__(self, instance, owner):
        if instance is not None or owner.definition is None:
            raise AttributeError("__signature__")
        parameters, kinds = owner.definition.parameters.items(), inspect.Parameter
        shown = [kinds(name, kinds.POSITIONAL_OR_KEYWORD, default=parameter.default) for name, parameter in parameters]
        return inspect.Signature(shown + [kinds(name, kinds.KEYWORD_ONLY, default=None) for name in owner.definition.options])


class Parametrized:
    """Parameters, by position or name, checked; ``spec``, the text that says the same; and what follows from these."""

    definition = None
    __signature__ = Signature()
    __slots__ = ("parameters", "spec", "_hash")

    def __init__(self, /, *args, **kwargs):
        definition = self.definition
        names = list(definition.parameters)
        if len(args) > len(names):
            raise TypeError(f"{definition.class_name} takes {len(names)} parameters ({', '.join(names) or 'none'}), got {len(args)}")
        given = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name not in names or name in given:
                every = [*names, *definition.options]
                has = f"is not a parameter of `{definition.name}`, which has {', '.join(every) or 'none'}"
                near = get_close_matches(name, every, n=1, cutoff=0.5)
                hint = f"; did you mean `{near[0]}`?" if near else ""
                hint = "; weights are given as `sample_weight`" if name in ("w", "weight", "weights") else hint
                raise TypeError(f"`{name}` {'was given twice' if name in given else has + hint}")
            given[name] = value
        values = {
            name: parameter.check(definition.name, name, given.get(name, parameter.default))
            for name, parameter in definition.parameters.items()
        }
        text = ",".join(f"{name}={_text(value)}" for name, value in values.items())
        put = object.__setattr__
        put(self, "parameters", MappingProxyType(values))
        put(self, "spec", definition.name + (":" + text if text else ""))
        put(self, "_hash", hash(self.spec))

    def __setattr__(self, name, value):
        raise AttributeError(f"a configured loss does not change; make another: {type(self).__name__}({name}=...)")

    def __delattr__(self, name):
        self.__setattr__(name, None)

    def __eq__(self, other):
        return isinstance(other, Parametrized) and self.spec == other.spec and self.definition == other.definition

    def __hash__(self):
        return self._hash

    def __reduce__(self):
        from fastloss.engine.specs import configured, get

        if self.definition.own:  # a process that has not defined it rebuilds it
            options = {name: getattr(self, name) for name in self.definition.options}
            return configured, (self.definition, dict(self.parameters) | options)
        return get, (self.spec,)

    def __repr__(self):
        inside = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"{self.definition.class_name}({inside})"

    @property
    def name(self):
        """The canonical name of the loss, without its parameters."""
        return self.definition.name

    def __getattr__(self, name):
        """A parameter, where nothing else has its name."""
        if name.startswith("_") or name in Parametrized.__slots__:  # copy and pickle ask before there is anything
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if name in self.parameters:
            return self.parameters[name]
        near = get_close_matches(name, dir(self), n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        has = f"its parameters are {', '.join(self.parameters)}" if self.parameters else "it has no parameters"
        raise AttributeError(f"`{self.name}` has no attribute {name!r}, and {has}{hint}", name=name, obj=self)

    def __dir__(self):
        return [*super().__dir__(), *self.parameters]


def _text(value):
    return value if isinstance(value, str) else str(value).lower() if value is None or isinstance(value, bool) else repr(value)
