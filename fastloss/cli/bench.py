"""`fastloss bench`: how fast it is here, beside other libraries and the roofline."""

import importlib.util
import math
import os
import re
from pathlib import Path

import click

from fastloss.cli import BAD_DATA, OK, UNEXPECTED
from fastloss.cli.own import named
from fastloss.cli.progress import progress_bar
from fastloss.cli.running import debug_option, emit, said
from fastloss.measuring import LARGEST, LONGEST
from fastloss.measuring.rivals import MODULES, OUTPUTS

LOSSES, SIZES, SECONDS = ("squared_error", "huber", "logistic"), (8, 2**16, 2**24), 2.0  # defaults
CLASSES = 10  # of losses of rows; their default sizes are as many rows as have about as many scores
DTYPES = ("float32", "float64", "float16", "bfloat16")
NOTHING_IN_COMMON = "the two runs have no case (loss, output, dtype, n, classes) in common"
SLOWER = UNEXPECTED  # 1, the exit code of any check that fails


class Sizes(click.ParamType):
    """8, 2**20, or start:stop:factor."""

    name = "N"

    def convert(self, value, param, ctx):
        parts = [self._whole(part, value, param, ctx) for part in value.split(":")]
        if len(parts) == 1:
            return tuple(parts)
        if len(parts) > 3:
            self._bad(value, param, ctx)
        start, stop, factor = (*parts, 2)[:3]
        if factor < 2 or stop < start:
            self.fail(f"{value!r}: a range is START:STOP:FACTOR with START <= STOP and FACTOR >= 2, as 2**0:2**25:2**5", param, ctx)
        sizes = [start]
        while sizes[-1] * factor <= stop:
            sizes.append(sizes[-1] * factor)
        return tuple(sizes)

    def _whole(self, text, value, param, ctx):
        match = re.fullmatch(r"\s*(\d{1,18})(?:\s*\*\*\s*(\d{1,2}))?\s*", text)
        number = 0 if match is None else int(match[1]) ** int(match[2] or 1)
        if not 1 <= number <= LARGEST:
            self._bad(value, param, ctx)
        return number

    def _bad(self, value, param, ctx):
        self.fail(f"{value!r} is not a number of samples: 1 to 2**40, as 1000 or 2**20, or a range as 2**0:2**25:2**5", param, ctx)


class Classes(Sizes):
    """The same, from 2."""

    name = "C"

    def convert(self, value, param, ctx):
        counts = super().convert(value, param, ctx)
        if counts[0] < 2:
            self._bad(value, param, ctx)
        return counts

    def _bad(self, value, param, ctx):
        self.fail(f"{value!r} is not a number of classes: 2 to 2**40, as 10 or 2**10, or a range as 10:1000:10", param, ctx)


class Finite(click.FloatRange):
    """A number in a range; NaN is in none, though no comparison says so, and infinity in none that is meant."""

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


def target(ctx, param, value):
    """A file to be written: that it can be is known before anything is measured."""
    if value is None:
        return None
    path = Path(value)
    if not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {str(path.parent)!r} to write it to", ctx, param)
    if path.is_dir():
        raise click.BadParameter(f"{value!r} is a directory", ctx, param)
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise click.BadParameter(f"{value!r} cannot be written to", ctx, param)
    return value


def chart_targets(ctx, param, values):
    for value in values:
        if Path(value).suffix not in (".svg", ".png"):
            raise click.BadParameter(f"{value!r} must end in .svg or .png", ctx, param)
        if importlib.util.find_spec("matplotlib") is None:
            raise ImportError('--chart needs matplotlib, which is not installed: pip install "fastloss[bench]"')
        target(ctx, param, value)
    return values


@click.command(short_help="Speed here, beside other libraries and the roofline.")
@click.argument("losses", metavar="[LOSS]...", nargs=-1, callback=named)
@click.option(
    "--output", "-o", "outputs", metavar="OUTPUT", multiple=True, type=click.Choice(OUTPUTS),
    help=f"What is computed, cost by default: {', '.join(OUTPUTS)}; may be repeated.",
)  # fmt: skip
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(DTYPES), help="Of targets and predictions; float32 by default.")
@click.option("--n", "sizes", multiple=True, type=Sizes(), help="Samples: 8, 2**20, or a range as 2**0:2**25:2**5; may be repeated.")
@click.option("--classes", "counts", multiple=True, type=Classes(), help="Losses of rows: C, as --n; 10 by default. n counts rows.")
@click.option("--threads", "-j", type=click.IntRange(min=1), metavar="N", help="Threads of every candidate; by default fastloss's.")
@click.option("--rival", "names", multiple=True, type=click.Choice(list(MODULES)), help="A library to compare with; all by default.")
@click.option("--no-rivals", is_flag=True, help="Compare with the roofline alone.")
@click.option(
    "--seconds", type=Finite(min=0.0, max=LONGEST), metavar="S",
    help="Time of each comparison, more for less noise: 2, or that of the run to compare with.",
)  # fmt: skip
@click.option("--json", "json_file", metavar="FILE", callback=target, help="Save the run, with all timings and the machine.")
@click.option(
    "--chart", "charts", metavar="FILE", multiple=True, callback=chart_targets,
    help="Draw speed against samples, as .svg or .png; may be repeated.",
)  # fmt: skip
@click.option("--compare", "old_file", metavar="OLD [NEW]", help="Hold a saved run against another, or against one made now.")
@click.option(
    "--threshold", type=Finite(min=1.0), default=1.10, show_default=True, metavar="RATIO",
    help="With --compare: a case this many times slower fails.",
)  # fmt: skip
@click.option("--progress/--no-progress", default=None, help="A progress bar on standard error; by default if that is a terminal.")
@click.option("--quiet", "-q", is_flag=True, help="Nothing but results and errors.")
@debug_option
def command(
    losses, outputs, dtypes, sizes, counts, threads, names, no_rivals, seconds, json_file, charts, old_file, threshold, progress, quiet
):
    """How fast losses, at the defaults of their parameters, are on this machine, beside other libraries, and beside what memory allows.

    \b
    fastloss bench                                     a quick look, about a minute
    fastloss bench huber log_loss --n 2**24 --rival torch --rival jax
    fastloss bench logistic -o cost_gradient --dtype float64 --n 2**10:2**24:2**7 --chart speed.svg
    fastloss bench cross_entropy --classes 10:1000:10  a loss of rows; n counts rows
    fastloss bench mymodule:MyLoss                     a loss of your own
    fastloss bench --no-rivals --json before.json      ... change something, and then:
    fastloss bench --compare before.json               the same cases again; a slower one: exit code 1
    fastloss bench --compare before.json after.json    two saved runs

    The roofline is the least time in which as many threads read the inputs once, and write what is
    written. A rival must give our result before it is timed, on as many threads (NumPy and the metrics
    of scikit-learn have one); all candidates are timed in turns, and the least times are compared. Rivals
    that were not timed are named, with the reason.

    --compare: machines are noisy, so a case is slower only if it is so in seconds and also relative to
    the roofline of its run; between different machines, relative to the roofline alone decides, and
    without a roofline (Numba compiles it) there is no comparing.

    Exit codes: 0 done, 1 with --compare if a case got slower than the threshold (or a defect), 2 the
    request is wrong, 3 a file is not a saved run, 130 interrupted.
    """
    from fastloss.measuring import environment

    losses, new_file = saved_and_named(losses, old_file)
    if no_rivals and names:
        raise click.UsageError("--no-rivals and --rival exclude each other")
    if new_file and (outputs or dtypes or sizes or counts or names or threads or json_file):
        takes = "--output, --dtype, --n, --classes, --rival, --threads, --json"
        raise click.UsageError(f"--compare with two files measures nothing, and takes no {takes}")
    try:
        environment.settle(threads)  # before NumPy and all libraries
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--threads") from error

    from fastloss.measuring.runs import RunError, read

    try:
        old, new = (read_or_refuse(read, path) for path in (old_file, new_file))
    except RunError as error:
        return said(error, BAD_DATA)
    notes = []
    if new is None:
        asked = losses or outputs or dtypes or sizes or counts
        cases = list(old.cases) if old and not asked else cases_of(losses, outputs, dtypes, sizes, counts, notes)
        if old and not set(cases) & set(old.cases):
            raise click.UsageError(NOTHING_IN_COMMON)
        chosen = list(names) if names else [] if no_rivals or old else None
        seconds = seconds if seconds is not None else old.seconds if old else SECONDS
        new = measured(cases, chosen, seconds, progress, quiet, notes)
        emit(run_text(new))
        if json_file:
            from fastloss.reports.json import dumps

            Path(json_file).write_text(dumps(new.as_dict()), encoding="utf-8")
    for chart in charts:
        from fastloss.measuring.chart import chart as draw

        draw(new, chart)
    if not quiet:
        for note in notes:
            click.echo(f"note: {note}", err=True)
    return compared(old, new, threshold) if old else OK


def saved_and_named(words, old_file):
    """(names of losses, the second file of --compare or None) from the words of the command line."""
    files = [word for word in words if word.endswith(".json")] if old_file else []
    if len(files) > 1 or (files and len(words) > 1):
        raise click.UsageError("--compare takes OLD.json and at most one NEW.json, and with that no losses")
    if files:
        return [], files[0]
    from fastloss.losses import REGISTRY, ROW_REGISTRY, find

    if configured := next((word for word in words if ":" in word), None):
        raise click.UsageError(f"{configured!r}: losses are timed at their defaults, and parameters cannot be given; name the loss alone")
    try:
        names = list(dict.fromkeys(find(word).name for word in words))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if other := next((name for name in names if name not in REGISTRY and name not in ROW_REGISTRY and not find(name).own), None):
        raise click.UsageError(f"{other!r} is not timed: it is no mean of losses, but a cost of sums over all samples")
    return names, None


def read_or_refuse(read, path):
    """A saved run, or None for no path."""
    if path is None:
        return None
    try:
        return read(path)
    except FileNotFoundError as error:
        raise click.UsageError(f"{path}: there is no such file") from error
    except IsADirectoryError as error:
        raise click.UsageError(f"{path} is a directory, not a saved run") from error
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}") from error


def cases_of(losses, outputs, dtypes, sizes, counts, notes):
    """(loss, output, dtype, n), and of losses of rows the number of classes, of all that was asked for; notes of what there is not."""
    from fastloss.losses import find
    from fastloss.measuring.compare import outputs_of

    cases = []
    sizes, counts = (sorted({n for group in groups for n in group}) for groups in (sizes, counts))
    if counts and not any(find(loss).rows for loss in losses):
        raise click.UsageError("--classes is of losses of rows, as cross_entropy, and none is named")
    for loss in losses or LOSSES:
        rows = find(loss).rows
        for output in dict.fromkeys(outputs or ("cost",)):
            if output not in outputs_of(loss):
                why = (
                    " is the root of a mean: a cost,"
                    if find(loss).root
                    else " is the exponential of a mean: a cost,"
                    if find(loss).base
                    else ""
                )
                notes.append(f"{loss}{why} without {output}" if why else f"{loss} has no {output}")
                continue
            for dtype in dict.fromkeys(dtypes or ("float32",)):
                if not rows:
                    cases += [(loss, output, dtype, n) for n in sizes or SIZES]
                for classes in (counts or (CLASSES,)) if rows else ():
                    scaled = dict.fromkeys(1 << max(0, (n // classes).bit_length() - 1) for n in SIZES)
                    cases += [(loss, output, dtype, n, classes) for n in sizes or scaled]
    if not cases:
        raise click.UsageError("; ".join(notes))
    return cases


def measured(cases, names, seconds, progress, quiet, notes):
    """The Run, with progress on standard error: a bar where a person watches, else a line per comparison."""
    from fastloss.measuring import machine, roofline, runs
    from fastloss.reports.bench import case_text

    free, need = machine.available(), max(runs.bytes_needed(case, names) for case in cases)
    if free is not None and need > free:
        worst = max(cases, key=lambda case: runs.bytes_needed(case, names))
        raise click.UsageError(f"{case_text(worst)} takes about {need / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free")
    if any(case[2] == "bfloat16" for case in cases) and importlib.util.find_spec("ml_dtypes") is None:
        raise ImportError("--dtype bfloat16 needs ml_dtypes, which is not installed: pip install ml_dtypes")
    if not roofline.installed():
        notes.append("no roofline: Numba compiles it, and is not installed (pip install numba)")
    with progress_bar(False if quiet else progress, unit=f"of {len(cases)} comparisons") as bar:

        def report(done, total, case):
            text = "" if case is None else case_text(case)
            if bar:
                bar(done, total, text)
            elif case is not None and not quiet and progress is not False:
                click.echo(f"[{done + 1}/{total}] {text}", err=True)

        return runs.measure(cases, names, seconds, report)


def run_text(run):
    from fastloss.measuring.machine import sentence
    from fastloss.reports.bench import run_table

    return f"{run_table(run)}{sentence(run.machine)}\n"


def compared(old, new, threshold):
    """Print what changed; the exit code."""
    from fastloss.measuring.runs import changes, same_machine
    from fastloss.reports.bench import case_text, changes_table

    both, only_old, only_new = changes(old, new)
    if not both:
        raise click.UsageError(NOTHING_IN_COMMON)
    comparable = [change for change in both if change.ratio is not None]
    if not comparable:
        raise click.UsageError("the two runs cannot be compared: they are of different machines, and one is without roofline")
    lines = [f"only in the {which} run: {case_text(case)}" for which, cases in (("old", only_old), ("new", only_new)) for case in cases]
    slower = sum(change.verdict(threshold) == "slower" for change in both)
    if not same_machine(old, new):
        lines.append("the runs are of different machines or numbers of threads: only what is relative to the roofline decides")
    if without := len(both) - len(comparable):
        lines.append(f"{without} case{'s' * (without > 1)} cannot be compared: different machines, and a run without roofline")
    lines.append(f"{slower} of {len(comparable)} cases slower by more than {threshold:g}")
    emit("\n" + changes_table(both, threshold) + "\n" + "".join(f"{line}\n" for line in lines))
    return SLOWER if slower else OK
