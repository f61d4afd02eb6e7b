"""Losses that users defined, as data: a definition is domains, parameters and the text of its formulas. So it can be rebuilt where its
module is not, in a notebook's workers, on another machine, from a saved state; its text is parsed there, and nothing of it is executed.
"""

import functools
import json
import threading

from fastloss.compiler.subset import VOCABULARY, digest, formulas
from fastloss.compiler.texts import Text
from fastloss.engine import specs
from fastloss.losses import ALIASES, spec
from fastloss.losses.spec import OWN, Definition, Interval, Labels, Parameter

PARTS = ("value", "gradient", "hessian")
MAX_PARAMETERS = 8  # of kernels/driver.pxi
TAKEN = {*VOCABULARY, *PARTS, "reduction", "nan", "n_threads", "sample_weight", "y_true", "y_pred"}  # that no parameter is called
DOMAINS = {kind.__name__: kind for kind in (Interval, spec.Integers, Labels, spec.Either)}
LONGEST = 100  # letters of a name
LOCK = threading.RLock()
FACTS = ("formula", "source", "wide", "notes", "doc")


def one_at_a_time(function):
    """Losses are defined by one thread at a time: ast.parse of CPython 3.11 raises SystemError now and then where two parse at once."""

    @functools.wraps(function)
    def alone(*given):
        with LOCK:
            return function(*given)

    return alone


class OwnDefinition(Definition):
    """A loss of the user's own. texts: {"value": Text, ...}; derived: the parts that were not given. Equal are those that say the same."""

    own = True

    def __init__(self, body, name, texts, derived, **facts):
        super().__init__(body, family="own", base=None, root=False, **facts)
        self.name, self.texts, self.derived = name or self.name, texts, tuple(derived)
        self.qualname = body.__qualname__

    def complete(self, texts):
        """Take the parts that were not given; FormulaError if they are no formulas."""
        self.texts, self.derived = {part: (self.texts | texts)[part] for part in PARTS}, tuple(part for part in PARTS if part in texts)
        formulas(self)

    @property
    def functions(self):
        return self.texts

    @property
    def place(self):
        """file:line of the formula."""
        return f"{self.texts['value'].file}:{self.texts['value'].line}"

    @property
    def origin(self):
        """What is redefined when a module is loaded again, or a cell run again."""
        return self.module, self.qualname

    @functools.cached_property
    def identity(self):
        return digest(self), json.dumps({key: value for key, value in document_of(self).items() if key not in ("module", "qualname")})

    def __eq__(self, other):
        return self is other or (isinstance(other, OwnDefinition) and self.identity == other.identity)

    def __hash__(self):
        return hash(self.name)

    def __reduce__(self):
        return from_document, (document_of(self),)


def registered(definition):
    """Enter a definition, in the place of what the same module and class defined before."""
    for name in [name for name, other in OWN.items() if other.origin == definition.origin or other == definition]:
        del OWN[name]
    entered(definition)
    return definition


def entered(definition):
    """Enter a definition, by its names."""
    OWN.update(dict.fromkeys((definition.name, *definition.aliases), definition))
    specs.forget()


def class_of(definition):
    """The class of an own loss, which stands where the user's class stood."""
    made = specs.class_of(definition)
    made.__module__, made.__qualname__ = definition.origin
    return made


def written(domain):
    """A domain as JSON."""
    kind = type(domain).__name__
    if isinstance(domain, Interval):
        return [kind, float(domain.low).hex(), float(domain.high).hex(), domain.open_low, domain.open_high]
    return [kind, *(float(value).hex() for value in domain.values)]


def read(fields):
    kind, *rest = fields
    if issubclass(DOMAINS[kind], Interval):
        low, high, open_low, open_high = rest
        return DOMAINS[kind](float.fromhex(low), float.fromhex(high), open_low=bool(open_low), open_high=bool(open_high))
    return DOMAINS[kind](*map(float.fromhex, rest))


def text_of(formula):
    return {"text": formula.source.text, "helpers": {name: text_of(helper) for name, helper in sorted(formula.helpers.items())}}


def text_from(fields, place):
    helpers = {name: text_from(one, place) for name, one in fields["helpers"].items()}
    return Text.made(fields["text"], place, 1, helpers)


def document_of(definition):
    """All of a definition, as JSON; not where it stood."""
    parameters = {
        key: [one.default, written(one.domain), one.doc, [[word, number] for word, number in one.names.items()], one.usual]
        for key, one in definition.parameters.items()
    }
    return {
        "name": definition.name, "aliases": list(definition.aliases), "class": definition.class_name, "module": definition.module,
        "qualname": definition.qualname, "target": written(definition.target), "prediction": written(definition.prediction),
        "parameters": parameters, "texts": {part: text_of(formula) for part, formula in formulas(definition).items()},
        "derived": list(definition.derived), **{key: getattr(definition, key) for key in FACTS},
    }  # fmt: skip


def is_name(word):
    """May a loss have this name? It is a word of specs, and part of a file's name (compiler/objects.py)."""
    return isinstance(word, str) and word.isidentifier() and word == word.lower() and len(word) <= LONGEST


@one_at_a_time
def from_document(document):
    """The definition of a document. One that is known here and says the same is that; where its names are free, it takes them.

    Documents come from files of anybody's making: ValueError, TypeError ... if no loss could have written it.
    """
    name, aliases = document["name"], tuple(document["aliases"])
    if bad := [word for word in (name, *aliases) if not is_name(word)]:
        raise ValueError(f"{bad[0]!r} is no name of a loss")
    keys = list(document["parameters"])
    if bad := [key for key in keys if not key.isidentifier() or key.startswith("__") or key in TAKEN]:
        raise ValueError(f"{bad[0]!r} is no name of a parameter")
    if len(keys) > MAX_PARAMETERS:
        raise ValueError(f"{len(keys)} parameters; there may be {MAX_PARAMETERS}")
    space = {"__doc__": document["doc"], "__module__": str(document["module"]), "__qualname__": str(document["qualname"])}
    for key, (default, domain, doc, words, usual) in document["parameters"].items():
        space[key] = Parameter(default, read(domain), doc, names=dict(words), usual=usual)
    texts = {part: text_from(document["texts"][part], f"<{part} of {name}>") for part in PARTS}
    facts = {key: document[key] for key in FACTS if key != "doc"}
    definition = OwnDefinition(
        type(str(document["class"]), (), space), name, texts, document["derived"], target=read(document["target"]),
        prediction=read(document["prediction"]), aliases=aliases, examples=(), **facts,
    )  # fmt: skip
    formulas(definition)  # within the subset
    if name in OWN and OWN[name] == definition:
        return OWN[name]
    if not any(one in ALIASES or one in OWN for one in (name, *aliases)):
        entered(definition)  # beside what is here: it is not what this process's module or class defines
    return definition


def learn(found):
    """Know the losses of documents by their names. ValueError where a name means something else here."""
    for document in found:
        definition = from_document(document)
        if OWN.get(definition.name) is not definition:
            known = f"the one defined at {OWN[definition.name].place}" if definition.name in OWN else "one of fastloss"
            raise ValueError(f"its loss `{definition.name}` is another than {known}")
