"""Pictures, .svg or .png: curves of costs, and a loss with its gradient and Hessian. matplotlib is imported when one is drawn."""

import os

import numpy as np

import fastloss as fl

# Okabe and Ito's colours, which the colour-blind tell apart
COLOURS = ("#0072B2", "#D55E00", "#009E73")
DASHES = ("-", "--", ":")
FORMATS = (".svg", ".png")
SETTINGS = {
    "svg.hashsalt": "fastloss", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10, "axes.spines.top": False,
    "axes.spines.right": False, "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white",
}  # fmt: skip
REACH = 4.0  # predictions on both sides of the target, where the domain does not end before
POINTS = 801


def _figure(path, draw, size):
    """Have draw(axes) make a picture, and write it."""
    if not os.fspath(path).lower().endswith(FORMATS):
        raise ValueError(f"`path` must end in {' or '.join(FORMATS)}, got {os.fspath(path)!r}")
    try:
        import matplotlib
        from matplotlib.figure import Figure  # without pyplot: no display is asked for, no state is kept
    except ImportError as error:
        raise ImportError(f'pictures need matplotlib: pip install "matplotlib>=3.8" ({error})') from error
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        draw(axes)
        axes.grid(True, color="#DDDDDD", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.legend(frameon=False)
        if os.fspath(path).lower().endswith(".svg"):  # the same picture gives the same bytes
            figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        else:
            figure.savefig(path, format="png", dpi=120, metadata={"Software": None})


def curves(log, path):
    """Write what a Recorder holds as a picture: costs by step, the best one, the verdict."""
    run = log.run
    if run is None:
        raise ValueError("there are no costs to draw: record some first")

    def draw(axes):
        costs = []
        for name, colour, dash in zip(("train", "validation"), COLOURS, DASHES, strict=False):
            points = {record[log.step]: record[name] for record in log.records if name in record}
            if points:
                steps = sorted(points)
                axes.plot(steps, [points[step] for step in steps], dash, color=colour, label="training" if name == "train" else name)
                costs += [cost for cost in points.values() if np.isfinite(cost)]
        if run.best is not None:
            axes.plot([run.best_at], [run.best], "o", color="black", label=f"best: {run.best:.4g} at {log.step} {run.best_at:.10g}")
        if costs and min(costs) > 0 and max(costs) > 100 * min(costs):
            axes.set_yscale("log")
        axes.set_xlabel(log.step)
        axes.set_ylabel("cost")
        axes.set_title(run.verdict, fontsize=11)

    _figure(path, draw, (6.4, 4.0))


def plot_loss(loss, path, *, y_true=None, predictions=None):
    """Write a picture, .svg or .png, of a loss with its gradient and Hessian, against the prediction. Needs matplotlib.

    loss         a configured loss, or its text ("huber:delta=2"); of single predictions
    path         where to
    y_true       the target that is predicted; by default 0, or 1, or what the domain of the loss allows of these
    predictions  (low, high), or an array of them; by default from target - 4 to target + 4, within the domain
    """
    loss = fl.get(loss)
    definition = loss.definition
    if definition.rows or definition.terms or definition.base:
        raise TypeError(f"`{loss.name}` has no curve: only losses of single predictions have one loss per prediction")
    if y_true is None:
        y_true = next((target for target in (1.0, 0.0, 0.5) if target in definition.target), definition.target.low)
        y_true = 0.0 if 0.0 in definition.target and 0.0 in definition.prediction and -1.0 in definition.prediction else y_true
    at = _predictions(definition.prediction, y_true, predictions)
    values, gradient, hessian = loss.loss_gradient_hessian(np.full(at.shape, float(y_true)), at)

    def draw(axes):
        shown = [values, gradient, hessian]
        for name, numbers, colour, dash in zip(("loss", "gradient", "Hessian"), shown, COLOURS, DASHES, strict=True):
            axes.plot(at, np.where(np.isfinite(numbers), numbers, np.nan), dash, color=colour, label=name)
        low, high = _between(values, 0.02)
        reach = 2 * (high - low)  # derivatives may go far beyond: what does leaves by the edge
        for part in (gradient, hessian):
            ends = _between(part, 0.1)
            low, high = min(low, max(ends[0], high - reach)), max(high, min(ends[1], low + reach))
        room = 0.06 * (high - low) or 1.0
        axes.set_ylim(low - room, high + room)
        axes.set_xlabel(f"prediction (the target is {y_true:g})")
        axes.set_title(loss.spec, fontsize=11)

    _figure(path, draw, (6.4, 4.0))


def _between(numbers, part):
    """The finite numbers' ends, but for a part of them on both sides."""
    numbers = numbers[np.isfinite(numbers)]
    return tuple(float(end) for end in np.quantile(numbers, (part, 1 - part))) if numbers.size else (0.0, 0.0)


def _predictions(domain, y_true, given):
    """The predictions to draw at, in the domain."""
    if given is None:
        given = (max(y_true - REACH, domain.low), min(y_true + REACH, domain.high))
    at = np.asarray(given, float)
    if at.shape == (2,):
        at = np.linspace(at[0], at[1], POINTS)
        at = np.array([value for value in at.tolist() if value in domain])
    if at.ndim != 1 or at.size < 2 or not np.isfinite(at).all() or at[0] >= at[-1]:
        raise ValueError(f"`predictions` must be (low, high) with low < high, or an array of ascending predictions, got {given!r}")
    return at
