"""`fastloss eval`: costs of predictions in files."""

from dataclasses import replace

import click
from click.core import ParameterSource

from fastloss.cli import PARTIAL
from fastloss.cli.configuration import config_option, environment
from fastloss.cli.html import html_option
from fastloss.cli.own import loss_option
from fastloss.cli.progress import progress_bar
from fastloss.cli.running import debug_option, emit
from fastloss.cli.stores import storage_option


class Shard(click.ParamType):
    name = "I/N"

    def convert(self, value, param, ctx):
        first, _, last = value.partition("/")
        if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
            self.fail(f"{value!r} is no I/N with 1 <= I <= N, as 2/5", param, ctx)
        return int(first), int(last)


@environment
@click.command(short_help="Mean losses of predictions in files.")
@click.argument("files", metavar="FILE...", nargs=-1)
@loss_option
@click.option("--target", "-y", metavar="COL", default="y", show_default=True, help="Column of the targets, or a .npy file.")
@click.option(
    "--prediction", "-p", metavar="COL", default="p", show_default=True,
    help="Column of the predictions, or a .npy file. Of losses of rows: 'logit_*', a,b,c, or a column (.npy file) of rows.",
)  # fmt: skip
@click.option("--weight", "-w", metavar="COL", help="Column of the sample weights, or a 1-D .npy file; none without it.")
@click.option("--positive", metavar="LABEL", help="The target's positive class: the target becomes COL == LABEL.")
@click.option("--classes", metavar="A,B,C", help="Losses of rows: all labels, in the order of the prediction's columns.")
@click.option("--per-class", is_flag=True, help="Losses of labels: the cost of the rows of each label, too.")
@click.option("--by", metavar="COL", multiple=True, help="Costs of each value of a column, too; repeat it for combinations.")
@click.option("--max-segments", type=click.IntRange(min=1), default=10_000, show_default=True, help="More values than that are an error.")
@click.option("--spread", is_flag=True, help="Quantiles and deviation of the samples' losses, standard error and interval.")
@click.option("--quantile", "quantiles", metavar="Q", type=click.FloatRange(0, 1), multiple=True, help="With --spread: which, as 0.9.")
@click.option("--worst", metavar="K", type=click.IntRange(min=1), help="The K samples of the largest losses, with their places.")
@click.option("--bootstrap", metavar="B", type=click.IntRange(min=2), help="Interval by Poisson bootstrap of B replicates.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of intervals.")
@click.option("--calibration", is_flag=True, help="How often predictions are right, by how sure they are.")
@click.option(
    "--nan", type=click.Choice(["propagate", "skip", "raise"]), default="propagate", show_default=True,
    help="What NaN losses do. Missing values are an error, but with skip are skipped.",
)  # fmt: skip
@click.option("--format", type=click.Choice(["csv", "tsv", "jsonl", "arrow"]), help="Of standard input, where FILE is -.")
@click.option("--keep-going", is_flag=True, help="Leave out broken files, report them, and exit with 4.")
@html_option
@click.option("--state", metavar="PATH", help="Save how far it came to a file, and go on from it if it is there.")
@click.option("--save-every", type=click.FloatRange(min=0), default=30, show_default=True, help="With --state: seconds.")
@click.option("--shard", type=Shard(), metavar="I/N", help="Do the I-th of N parts, into --state, for fastloss merge.")
@click.option("--engine", metavar="NAME", help="Who counts: dask, spark, or a Dask scheduler's address (tcp://HOST:PORT).")
@click.option("--output", "-o", metavar="PATH", help="Write the losses of single samples to a .parquet or .npy file.")
@click.option("--gradients", is_flag=True, help="With --output: their gradients, too.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON (schema 1) instead of a table.")
@click.option("--threads", "-j", type=click.IntRange(min=1), metavar="N", help="Threads that compute; by default as many as pay.")
@click.option("--progress/--no-progress", default=None, help="A progress bar on standard error; by default if that is a terminal.")
@click.option("--quiet", "-q", is_flag=True, help="Nothing but results and errors: no bar, no notes, no summary.")
@storage_option
@config_option
@debug_option
def command(
    files, losses, target, prediction, weight, positive, classes, per_class, nan, format, keep_going, html, as_json, threads, progress,
    quiet, **answers,
):  # fmt: skip
    """Mean losses of the predictions in files, in one pass and bounded memory.

    \b
    fastloss eval predictions.parquet --loss log_loss --loss brier
    fastloss eval 'shards/*.parquet' -l pinball:quantile=0.9 -y sales -p q90 -w store_weight
    fastloss eval fastloss/samples/breast_cancer.csv -l logistic -y diagnosis --positive benign -p z
    fastloss eval --target y.npy --prediction p.npy -l mse          1-D arrays, a file each
    fastloss eval table.npy --target 0 --prediction 2 -l mae        columns of a 2-D array
    fastloss eval fastloss/samples/iris.csv -l cross_entropy -y species -p 'logit_*'
    fastloss eval predictions.parquet -l log_loss --by country --spread --worst 10
    fastloss eval predictions.parquet -l log_loss --by country --html report.html
    fastloss eval 's3://bucket/preds/*.parquet' -l mse
    fastloss eval 'shards/*.parquet' -l mse --state run.fls          killed, and run again, it goes on
    fastloss eval 'shards/*.parquet' -l mse --state 2.fls --shard 2/5     then: fastloss merge '?.fls'

    FILE is .parquet, .arrow (.feather, .ipc, .arrows), .csv, .tsv (with a header line), .jsonl, these three
    also as .gz and .zst, .npz, .safetensors (members are columns) or .npy; - is standard input. Directories
    and patterns ('preds/**/*.csv') are expanded, directories named key=value give columns, and several
    files are one data set, in order. Parquet, Arrow, CSV and JSON lines may lie in a store (s3://, gs://,
    az://, abfss://, https://): quote patterns; a directory ends with /. Rows in messages count from 0 within a file.

    Options not given are looked for in the environment, as FASTLOSS_EVAL_TARGET, FASTLOSS_EVAL_LOSS="mse mae",
    then in [tool.fastloss.eval] of pyproject.toml (keys are the long options: loss = ["mse", "mae"]), or of --config.

    Exit codes: 0 done, 2 the request is wrong (unknown loss, no such file, column or label), 3 the data
    is bad (values outside a domain, missing values, damaged files), 4 files were left out (--keep-going),
    130 interrupted, 1 a defect.
    """
    if not losses:
        raise click.UsageError("give one loss or more, as --loss log_loss; `fastloss losses` lists them all")

    if answers["shard"] and as_json:
        raise click.UsageError("--json is of fastloss merge; a shard's numbers are not the whole")
    if answers["shard"] and html is not None:
        raise click.UsageError("--html is of the whole, and not of a shard: fastloss merge STATE... --html PATH")
    if html is not None and html == answers["state"]:
        raise click.UsageError("--html and --state are two files; give them two names")
    given = click.get_current_context().get_parameter_source("confidence") is ParameterSource.COMMANDLINE
    if given and not (answers["spread"] or answers["bootstrap"] or html is not None):
        raise click.UsageError("--confidence is of intervals, and none is asked for: add --spread, --bootstrap B or --html PATH")
    import fastloss as fl

    try:
        fl.State(losses, per_class=per_class)  # refuses what evaluate_files would: an unknown loss, or one given twice
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with progress_bar(False if quiet else progress) as report:
        evaluation = fl.evaluate_files(
            files, list(losses), target=target, prediction=prediction, weight=weight, nan=nan, positive=positive, classes=classes,
            per_class=per_class, n_threads=threads, progress=report, format=format, keep_going=keep_going, report=html is not None,
            **asked(answers),
        )  # fmt: skip
    if html is not None:
        evaluation.write_html(html)
        evaluation = replace(evaluation, **{name: None for name in REPORTED if not answers[name]})
    if not quiet and evaluation.resumed:
        click.echo(f"{answers['state']}: {evaluation.resumed} rows were counted before", err=True)
    if evaluation.shard is None:
        return shown(evaluation, as_json, quiet)
    from fastloss.reports.table import summary

    if not quiet:
        i, n = evaluation.shard
        empty = " (nothing falls to this shard: files of text are not cut)" if not evaluation.rows else ""
        click.echo(f"shard {i} of {n}, saved to {answers['state']}: {summary(evaluation)}{empty}", err=True)
    return said_left_out(evaluation)


def shown(evaluation, as_json, quiet, summed=None):
    """Tell what was found; returns the exit code. summed: what is said at the end, instead of a summary."""
    import fastloss as fl

    if as_json:
        from fastloss.reports.json import dumps, evaluation_document

        engine = fl.info()
        emit(dumps(evaluation_document(evaluation, engine["version"], engine)))
    else:
        from fastloss.reports.text import evaluation_text

        emit(evaluation_text(evaluation))
    if not quiet:
        from fastloss.reports.table import summary

        if note := fl.info()["note"]:
            click.echo(f"note: {note}", err=True)
        for note in evaluation.notes:
            click.echo(f"note: {note}", err=True)
        if not as_json:
            click.echo(summed or summary(evaluation), err=True)
    return said_left_out(evaluation)


def said_left_out(evaluation):
    for left_out in evaluation.left_out:
        click.echo(f"left out: {left_out['error']}", err=True)
    return PARTIAL if evaluation.left_out else None


REPORTED = ("spread", "worst", "calibration")  # what a report brings, and the terminal shows only where it was asked for


def asked(answers):
    """The options of what is asked besides costs, as arguments of evaluate_files."""
    if answers["quantiles"] and not answers["spread"]:
        raise click.UsageError("--quantile goes with --spread")
    given = {name: value for name, value in answers.items() if value is not None and value != ()}
    return given | ({"by": list(given["by"])} if "by" in given else {})
