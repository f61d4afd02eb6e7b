"""Tables for a terminal: with rich where standard output is one, plain aligned text elsewhere."""

import importlib.util
import shutil
import sys

RATED = 1_000_000  # rows from which on a rate is worth a word


def table(headings, rows, right=(), stream=None):
    """Text of a table, its last line ended. ``right``: headings of the columns that are aligned to the right; all cells are text."""
    stream = stream or sys.stdout
    pretty = stream.isatty() and importlib.util.find_spec("rich") is not None
    return (rich_table if pretty else plain_table)(headings, rows, right)


def plain_table(headings, rows, right=()):
    """Columns two spaces apart, one line per row, no line ever cut."""
    lines = [tuple(headings), *map(tuple, rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(headings))]
    sides = [str.rjust if heading in right else str.ljust for heading in headings]
    return "".join("  ".join(side(c, w) for side, c, w in zip(sides, line, widths, strict=True)).rstrip() + "\n" for line in lines)


def rich_table(headings, rows, right=()):
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for heading in headings:
        made.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*map(Text, row))  # Text, because formulas hold brackets, which rich would take for markup
    console = Console(width=shutil.get_terminal_size().columns)
    with console.capture() as captured:
        console.print(made)
    return captured.get()


def results_table(evaluation, stream=None):
    """The costs of an Evaluation. Costs read back as the same double; columns that say nothing are left out. Below them stands what these
    are not the costs of, where shards are missing."""
    results = evaluation.results
    lacking = f"not of all data: {evaluation.missing['text']}\n" if evaluation.missing else ""
    return costs_table({"loss": [r.spec for r in results]}, results, stream) + lacking


def classes_table(evaluation, stream=None):
    """The costs of the rows of each class."""
    lines = [(r.name, str(evaluation.class_name(label)), found) for r in evaluation.results for label, found in r.classes.items()]
    names, classes, results = zip(*lines, strict=True) if lines else ((), (), ())
    return costs_table({"loss": names, "class": classes}, results, stream)


def costs_table(columns, results, stream=None, more=()):
    """These columns and those of the results, and ``more``, a dict; a cost that there is not is left blank."""
    columns["cost"] = ["" if r.cost is None else repr(float(r.cost)) for r in results]
    columns["rows"] = [str(r.n) for r in results]
    if any(r.n_nan for r in results):
        columns["NaN"] = [str(r.n_nan) for r in results]
    if any(r.n_inf for r in results):
        columns["infinite"] = [str(r.n_inf) for r in results]
    if any(r.weight_sum is not None for r in results):
        columns["weight sum"] = ["" if r.weight_sum is None else repr(float(r.weight_sum)) for r in results]
    columns |= dict(more)
    return table(list(columns), list(zip(*columns.values(), strict=True)), right=("rows", "NaN", "infinite"), stream=stream)


def summary(evaluation):
    """One line on what was read and, unless it was so little that starting took longer than reading, how fast."""
    count, rows, seconds = len(evaluation.files), evaluation.rows, evaluation.seconds
    rate = f" ({rows / seconds / 1e6:.1f} M rows/s)" if rows >= RATED and seconds else ""
    what = f"{rows} row{'s' * (rows != 1)} of {count} file{'s' * (count != 1)}, {bytes_text(evaluation.bytes_read)}"
    return f"{what}, in {seconds:.2f} s{rate}"


def bytes_text(count):
    """A number of bytes, in the largest unit that leaves a digit before the point."""
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
