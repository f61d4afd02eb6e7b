"""`fastloss compare`: is B better than A, and how sure is that?"""

from dataclasses import replace

import click

from fastloss.cli import WORSE
from fastloss.cli.html import html_option
from fastloss.cli.own import loss_option
from fastloss.cli.progress import progress_bar
from fastloss.cli.running import debug_option, emit
from fastloss.cli.stores import storage_option

WORST = 10  # samples in a report, where none were asked for


@click.command(short_help="Two sets of predictions of the same samples.")
@click.argument("files", metavar="A [B]", nargs=-1)
@loss_option
@click.option("--target", "-y", metavar="COL", default="y", show_default=True, help="Of A; if B has it, too, it must be the same.")
@click.option("--prediction", "-p", metavar="COL", default="p", show_default=True, help="Column of the predictions of A, as of eval.")
@click.option("--against", metavar="COL", help="Column of the predictions of B; by default of the same name.")
@click.option("--weight", "-w", metavar="COL", help="Column of the sample weights, in A; none without it.")
@click.option("--key", "-k", metavar="COL", multiple=True, help="Pair rows that are equal in it; repeat it for several columns.")
@click.option("--inner", is_flag=True, help="With --key: leave out rows that the other side lacks, and count them.")
@click.option("--positive", metavar="LABEL", help="The target's positive class: the target becomes COL == LABEL.")
@click.option("--classes", metavar="A,B,C", help="Losses of rows: all labels, in the order of the prediction's columns.")
@click.option("--by", metavar="COL", multiple=True, help="The same for each value of a column of A; repeat it for combinations.")
@click.option("--max-segments", type=click.IntRange(min=1), default=10_000, show_default=True, help="More values than that are an error.")
@click.option("--worst", metavar="K", type=click.IntRange(min=1), help="The K samples whose losses differ most, with their places.")
@click.option("--bootstrap", metavar="N", type=click.IntRange(min=2), help="Interval by Poisson bootstrap of N replicates of pairs.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of intervals.")
@click.option(
    "--max-regression", "-m", "limits", metavar="X", multiple=True,
    help="Exit with 5 if B costs more than A by more than X: 0.01, or 0.5% of A's cost, or LOSS=X for one loss.",
)  # fmt: skip
@click.option(
    "--regression-at", "at", type=click.Choice(["difference", "low", "high"]), default="difference", show_default=True,
    help="What is held to it: the difference, or an end of its interval: low, B is surely worse; high, it may be.",
)  # fmt: skip
@click.option(
    "--nan", type=click.Choice(["propagate", "skip", "raise"]), default="propagate", show_default=True,
    help="What NaN losses do; with skip, a pair with one, or with a missing value, is left out and counted.",
)  # fmt: skip
@click.option("--format", type=click.Choice(["csv", "tsv", "jsonl", "arrow"]), help="Of standard input, where A or B is -.")
@html_option
@click.option("--json", "as_json", is_flag=True, help="Write JSON (schema 1) instead of tables.")
@click.option("--threads", "-j", type=click.IntRange(min=1), metavar="N", help="Threads that compute; by default as many as pay.")
@click.option("--progress/--no-progress", default=None, help="A progress bar on standard error; by default if that is a terminal.")
@click.option("--quiet", "-q", is_flag=True, help="Nothing but results, errors and why B is too much worse.")
@storage_option
@debug_option
def command(files, losses, limits, at, html, as_json, threads, progress, quiet, key, by, **asked):
    """Two sets of predictions of the same samples, A and B: their costs, the difference (B - A: below 0, B is better), its standard
    error and interval, how often which is better, and the exact sign test of that.

    \b
    fastloss compare a.parquet b.csv -l log_loss                        row i of A with row i of B
    fastloss compare a.parquet b.csv -l log_loss --key id --by country  equal ids go together
    fastloss compare both.parquet -l mse -p p_old --against p_new       two columns of the same files
    fastloss compare main.csv branch.csv -l mse --max-regression 1%     B worse than that: exit code 5
    fastloss compare a.parquet b.csv -l log_loss --html report.html     a page in words and pictures

    A and B are files as of `fastloss eval`, or patterns and directories of them (quote patterns: 'a/*.parquet'). Row by row, memory is
    bounded whatever their formats and sizes. By key it holds the keys of both and the predictions of B; A is read twice.

    Exit codes: 0 done, 2 the request is wrong, 3 the data is bad (also targets or keys that do not
    agree), 5 B is worse than --max-regression allows, 130 interrupted, 1 a defect.
    """
    if not losses:
        raise click.UsageError("give one loss or more, as --loss log_loss; `fastloss losses` lists them all")
    if len(files) > 2:
        raise click.UsageError(f"give A and B, got {len(files)} files; quote a pattern, so that the shell leaves it alone")

    import fastloss as fl

    try:
        state = fl.State(losses)
        fl.Comparison.limits(limits, losses, at)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    given = {name: value for name, value in asked.items() if value is not None}
    given |= {name: list(value) for name, value in (("key", key), ("by", by)) if value}
    if html is not None and not any(loss.definition.terms for loss in state.losses):
        given.setdefault("worst", WORST)  # the page shows some
    a, b = [list(files[:1]), list(files[1:]) or None]
    with progress_bar(False if quiet else progress, "pairs") as report:
        comparison = fl.compare_files(a, b, list(losses), n_threads=threads, progress=report, **given)
    regressions = comparison.regressions(limits, at) if limits else None
    if html is not None:
        comparison.write_html(html)
        comparison = comparison if asked["worst"] else replace(comparison, worst=None)
    from fastloss.reports.compare import comparison_document, comparison_summary, comparison_text, notes_of

    if as_json:
        from fastloss.reports.json import dumps

        engine = fl.info()
        emit(dumps(comparison_document(comparison, engine["version"], engine, regressions)))
    else:
        emit(comparison_text(comparison))
    if not quiet:
        for note in [*([fl.info()["note"]] if fl.info()["note"] else []), *notes_of(comparison)]:
            click.echo(f"note: {note}", err=True)
        if not as_json:
            click.echo(comparison_summary(comparison), err=True)
    for sentence in regressions or ():
        click.echo(f"worse: {sentence}", err=True)
    return WORSE if regressions else None
