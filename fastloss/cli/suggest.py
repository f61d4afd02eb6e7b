"""`fastloss suggest`: which losses fit predictions in files."""

import click

from fastloss.cli.own import named
from fastloss.cli.progress import progress_bar
from fastloss.cli.running import debug_option, told
from fastloss.cli.stores import storage_option


@click.command(short_help="Which losses fit predictions in files, which do not, and why.")
@click.argument("files", metavar="FILE...", nargs=-1)
@click.option("--target", "-t", "-y", metavar="COL", help="Column of the targets, or a .npy file; guessed by its name without it.")
@click.option("--prediction", "-p", metavar="COL", help="Column of the predictions; of rows of scores 'logit_*', a,b,c, or one of rows.")
@click.option("--weight", "-w", metavar="COL", help="Column of the sample weights; none without it.")
@click.option(
    "--loss", "-l", "losses", metavar="SPEC", multiple=True, callback=named, help="Warn of what does not fit this loss; may be repeated."
)
@click.option("--positive", metavar="LABEL", help="The target's positive class: the target becomes COL == LABEL.")
@click.option("--classes", metavar="A,B,C", help="Rows of scores: all labels, in the order of the prediction's columns.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON (schema 1) instead of text.")
@click.option("--progress/--no-progress", default=None, help="A progress bar on standard error; by default if that is a terminal.")
@click.option("--quiet", "-q", is_flag=True, help="Nothing but results and errors: no bar, no notes.")
@storage_option
@debug_option
def command(files, target, prediction, weight, losses, positive, classes, as_json, progress, quiet, storage_options):
    """Losses that fit targets and predictions, the best first, with the reason and the numbers found; and warnings of
    what does not fit. One pass, bounded memory, the same for any chunks.

    \b
    fastloss suggest predictions.parquet
    fastloss suggest fastloss/samples/breast_cancer.csv -t diagnosis -p z
    fastloss suggest fastloss/samples/iris.csv -t species -p 'logit_*'
    fastloss suggest predictions.csv -l hinge                 what does not fit hinge

    Looked at: labels ({0, 1}, {-1, 1}, text, class numbers) and their balance; whether predictions are
    probabilities, percentages, logits or rows that sum to 1 (within 0.001); ranges, zeros, missing values,
    NaN; and the tails of prediction minus target: the range of their middle 95 % over that of the middle
    half, over the normal distribution's 2.91 (Crow and Siddiqui 1967). 1.25 is heavy, 2 very heavy. Far
    outliers lie 3 interquartile ranges outside the quartiles (Tukey 1977).

    With --weight the balance of classes, the tails, size and bias of residuals, and the dispersion of counts
    are by weight. The task, labels, ranges, what cannot be computed, and shares of right rows are not: they
    are of all rows, those of weight 0 among them.

    Exit codes: 0 done, whatever is warned of; 2 the request is wrong (no such file or column, unknown
    loss); 3 the data is bad (damaged files); 130 interrupted; 1 a defect.
    """
    import fastloss as fl

    try:
        for loss in losses:
            fl.get(loss)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with progress_bar(False if quiet else progress) as report:
        found = fl.suggest_files(
            files, target=target, prediction=prediction, weight=weight, losses=list(losses), positive=positive, classes=classes,
            progress=report, storage_options=storage_options,
        )  # fmt: skip
    from fastloss.reports.suggest import suggestion_document, suggestion_text

    told(found, suggestion_text, suggestion_document, as_json, quiet)
