"""A run as a figure: speed against the number of samples, ours, the rivals' and the roofline, a panel per loss, output and dtype.

The same run gives the same bytes of SVG: no date, no random identifiers, text as text.
"""

from fastloss.measuring.rivals import MODULES

# Okabe and Ito's colours, which the colour-blind tell apart; ours black, thick and round.
COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0A0C0", "#0072B2", "#D55E00", "#A0522D")
MARKERS = "sv^<>DP"
STYLES = {name: (colour, marker) for name, colour, marker in zip(MODULES, COLOURS, MARKERS, strict=True)}
OURS = "#000000"
COLUMNS, WIDTH, HEIGHT = 3, 4.2, 3.4
FORMATS = (".svg", ".png")
SETTINGS = {
    "svg.hashsalt": "fastloss", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10, "axes.spines.top": False,
    "axes.spines.right": False, "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white",
}  # fmt: skip


def chart(run, path, along="n", of="samples", across="samples"):
    """Write the figure of a Run to a file, .svg or .png. What a Comparison calls ``along`` lies on the abscissa, named ``across``; ``of``
    is what its n counts."""
    import matplotlib
    from matplotlib.figure import Figure  # without pyplot: no display is asked for, no state is kept

    panels = {}
    for comparison in run.comparisons:
        rows = comparison.classes if along == "n" else None
        panels.setdefault((comparison.loss, comparison.output, comparison.dtype, rows), []).append(comparison)
    columns = min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(max(WIDTH * columns, 6.0), HEIGHT * rows + 0.7), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).flat
        handles = {}
        for axes, (title, comparisons) in zip(grid, panels.items(), strict=False):
            handles |= _panel(axes, title, sorted(comparisons, key=lambda comparison: getattr(comparison, along)), along, of, across)
        for axes in list(grid)[len(panels) :]:
            axes.set_axis_off()
        order = ["fastloss", "roofline", *(name for name in MODULES if name in handles)]
        shown = [name for name in order if name in handles]
        labels = ["memory alone" if name == "roofline" else name for name in shown]
        figure.legend([handles[name] for name in shown], labels, loc="outside lower center", ncols=min(len(shown), 5), frameon=False)
        own = run.machine["fastloss"]
        figure.suptitle(f"{run.machine['processor']}, {run.machine['threads']} threads; fastloss {own['version']}", fontsize=10)
        if str(path).endswith(".svg"):
            figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        else:
            figure.savefig(path, format="png", dpi=90, metadata={"Software": None})


def _panel(axes, title, comparisons, along, of, across):
    """Draw the lines of one panel; returns {candidate: its handle}."""
    loss, output, dtype, classes = title
    handles = {}

    def draw(name, points, **style):
        points = [(getattr(c, along), c.n / seconds / 1e9) for c, seconds in points if seconds is not None]
        if points:
            (handles[name],) = axes.plot(*zip(*points, strict=True), **style)

    roof = [(comparison, comparison.roofline) for comparison in comparisons]
    draw("roofline", roof, color="#777777", linestyle="--", linewidth=1.5, marker="_", zorder=1)
    for name, (colour, marker) in STYLES.items():
        timed = [(c, c.timings[name].minimum) for c in comparisons if name in c.timings]
        draw(name, timed, color=colour, marker=marker, markersize=4, linewidth=1.2, zorder=2)
    ours = [(comparison, comparison.seconds) for comparison in comparisons]
    draw("fastloss", ours, color=OURS, marker="o", markersize=5, linewidth=2.4, zorder=3)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_title(f"{loss}: {output.replace('_', ' and ')}, {dtype}{f', {classes} classes' if classes else ''}", fontsize=10)
    axes.set_xlabel(across)
    axes.set_ylabel(f"G {of}/s")
    axes.minorticks_off()
    axes.grid(True, which="major", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    return handles
