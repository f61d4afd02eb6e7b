"""The vocabulary in which a rowwise loss is defined: a row of C scores against a label or a row of targets.

The body of such a class is a program of a few steps, each a scalar function whose argument names say what it sees:

    @each     one number per class, from that class's numbers             @largest   the largest of them, and where it stands
    @total    the sum of such numbers over the row                        @running   their running sum, the class itself included
    @once     one number per row, from what was found before              Last       what a running sum ends with
    Threshold  where the simplex cuts a row of scores                     Partition  exp(u - top) of every class, and their sum
    Pairs      each target against each class that is none (targets 0 and 1)

    z, y      the class's score, and its target (rows of targets)         z_label    the score of the label's class (labels)
    c         the class's weight, c_label that of the label's class       j, label   number of the class and of the label
    classes   C                                                           name       of a parameter, or what a step before found
    name_at   where ``largest`` or Partition found its largest            hit        1 if top stands at the label, else 0
    name_low  what the rounding of a running sum (or of Last) lost: name + name_low is the sum to twice the digits

and ends with ``value`` (per row) and, where they exist, ``gradient`` and ``hessian`` (per class: derivatives with respect to its score, of
which the Hessian is the diagonal). ``@at("label")`` marks what replaces them in the label's class: never p - 1, which cancels.

The same kinds of statements are allowed as in any formula. Which loops a program becomes is the compiler's business.
"""

from fastloss.losses.spec import NONNEGATIVE, UNIT, Definition, Parameter, register


class Labels:
    """The target of a row that is one of its classes."""

    def __str__(self):
        return "a class, from 0 to C - 1"


LABELS = Labels()


class Step:
    """One step: its kind, the function (or None), and what qualifies it."""

    def __init__(self, kind, function=None, **options):
        self.kind, self.function, self.options = kind, function, options


def each(function):
    return Step("each", function)


def once(function):
    return Step("once", function)


def running(function):
    return Step("running", function)


def total(function=None, *, without=None):
    """A sum over the row; without="label" leaves the label's class out."""
    return Step("total", function, without=without) if function else lambda function: Step("total", function, without=without)


def largest(function=None, *, without=None):
    return Step("largest", function, without=without) if function else lambda function: Step("largest", function, without=without)


def at(place, part="gradient"):
    """What ``part`` (gradient or hessian) is at a place: "label", or the name of a ``largest`` step. Later ones overwrite earlier."""
    return lambda function: Step("at", function, place=place, part=part)


class Partition(Step):
    """The exponentials of u, an @each (or "z" or "y"), to a common scale that nothing leaves. It makes

        e                 of each class: exp(u) to that scale; e_label that of the label's class
        top, top_at       the largest u, and where it stands
        e_top, rest       its exponential, and the sum of all others: kept apart, because where one class has it all, rest is what counts
        norm              1 / (e_top + rest), so that e * norm are the probabilities of softmax
        log_rest          log1p(rest / e_top), so that top + log_rest is the log of the sum of all exp(u)

    ``prefix`` goes before these names, where a loss has two of them. A row of only -inf makes NaN of all."""

    def __init__(self, of, prefix=""):
        super().__init__("partition", None, of=of, prefix=prefix)


class Last(Step):
    """What the running sum ``of`` ends with: name, and name_low. A sum from the back is this less the running sum."""

    def __init__(self, of):
        super().__init__("last", None, of=of)


class Threshold(Step):
    """The projection of a row of scores onto the simplex: tau such that the parts of all z - top above tau sum to 1. It makes

        peak              the largest z
        tau, tau_low      tau and what its rounding lost; -1 <= tau < 0

    Found by Newton's iteration on the sum, which is convex and piecewise linear in tau, from tau = -1: each step drops classes from the
    support, and the first that drops none is exact. A NaN, a largest score that is not finite: all NaN."""

    def __init__(self):
        super().__init__("threshold")


class Pairs(Step):
    """Each target of a row (y = 1) held against each class that is none (y = 0), with the loss's parameter ``margin``. It makes

        hinges            the sum over such pairs of max(0, margin + z_other - z_target), every term right but for its last digit
        owed              of each class: in how many pairs with a positive term it is, of a target minus that

    In T * C steps for T targets. A NaN anywhere in the row, or a difference of infinities of the same sign: all NaN."""

    def __init__(self):
        super().__init__("pairs")


class RowDefinition(Definition):
    """Everything known of one rowwise loss: what Definition says, ``steps``, {name: Step} in order, and ``sums``: of y_true and y_pred
    those that are probabilities, of which the option sum_tolerance asks that they sum to 1."""

    rows = True

    def __init__(self, body, **facts):
        super().__init__(body, **facts)
        # rows of probabilities, which should sum to 1
        sides = {"y_true": self.target, "y_pred": self.prediction} if self.family in ("multiclass", "distributions") else {}
        self.sums = tuple(name for name, domain in sides.items() if domain in (NONNEGATIVE, UNIT))
        self.options = ("class_weight",) * self.weights + ("ignore_index",) * (self.target is LABELS) + ("sum_tolerance",) * bool(self.sums)
        self.steps = {name: value for name, value in vars(body).items() if isinstance(value, Step)}


ROW_REGISTRY: dict[str, RowDefinition] = {}


def row_loss(*, targets, scores, formula, source, family, aliases=(), examples=(), weights=False, notes=""):
    """Enter a class into the registry as a rowwise loss.

    targets     LABELS (one class number per row), or an Interval: a row of C numbers in it
    scores      the domain of a score
    weights     class weights are understood: class_weight=
    examples    (label or row of targets, row of scores, value) or with {parameter: value} as a fourth: checked by a test
    The rest is as in ``loss`` of spec.py. A body without a gradient is of a measure, not of a loss to be lowered.
    """

    def enter(body):
        definition = RowDefinition(
            body, target=targets, prediction=scores, formula=formula, source=source, family=family, aliases=tuple(aliases),
            examples=tuple(examples), weights=weights, notes=notes, wide=False, base=None, root=False,
        )  # fmt: skip
        if not hasattr(body, "value"):
            raise TypeError(f"{body.__name__} has no value")
        register(definition, ROW_REGISTRY)
        return body

    return enter


ROW_FUNCTIONS: dict[str, RowDefinition] = {}


def row_function(*, scores, formula, source):
    """Enter a class as a function of rows that is no loss, for functions of the engine: it has kernels, but no name that users give.

    ``value`` is a number per row, ``gradient``, if there is one, a number per class; the target is a label, to be looked at or not."""

    def enter(body):
        definition = RowDefinition(
            body, target=LABELS, prediction=scores, formula=formula, source=source, family="functions", aliases=(), examples=(),
            weights=False, notes="", wide=False, base=None, root=False,
        )  # fmt: skip
        ROW_FUNCTIONS[definition.name] = definition
        return body

    return enter


def exp_of(base, *, formula, source, aliases=(), examples=(), notes=""):
    """Enter a derived cost: the exponential of another rowwise loss's cost, with that loss's parameters and options."""

    def enter(body):
        of = ROW_REGISTRY[base]
        definition = RowDefinition(
            body, target=of.target, prediction=of.prediction, formula=formula, source=source, family=of.family, aliases=tuple(aliases),
            examples=tuple(examples), weights=of.weights, notes=notes, wide=of.wide, base=base, root=False, outer="exp",
        )  # fmt: skip
        definition.parameters = of.parameters
        register(definition, ROW_REGISTRY)
        return body

    return enter


__all__ = [
    "LABELS", "Last", "Pairs", "Parameter", "Partition", "Threshold", "at", "each", "exp_of", "largest", "once", "row_function",
    "row_loss", "running", "total",
]  # fmt: skip
