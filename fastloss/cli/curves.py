"""`fastloss curves`: what logs of costs show."""

import click

from fastloss.cli.running import debug_option, told


@click.command(short_help="What costs by epoch show: converged, overfitting, diverging, the best epoch.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--train", metavar="COL", help="Column of training costs; guessed by name if neither it nor --validation is given.")
@click.option("--validation", "--val", metavar="COL", help="Column of validation costs.")
@click.option("--step", metavar="COL", help="Column that counts epochs or steps; guessed, else rows are counted from 0.")
@click.option("--run", metavar="COL", help="Column whose values are runs; guessed. Without one, each file is a run.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON (schema 1) instead of text.")
@click.option("--quiet", "-q", is_flag=True, help="No notes.")
@debug_option
def command(files, train, validation, step, run, as_json, quiet):
    """What the costs in training logs show, with the numbers that say so.

    \b
    fastloss curves training.csv
    fastloss curves lightning_logs/version_*/metrics.csv
    fastloss curves trainer_state.json
    fastloss curves folds.csv --run fold --step iteration --validation rmse

    \b
    FILE is .csv or .tsv with a header line (Keras' and Lightning's CSVLogger: empty cells are no
    measurements), .jsonl or .ndjson (an object per line), or .json: a list of objects, lists by name
    (Keras' history), evals_result of XGBoost and LightGBM, trainer_state.json of Hugging Face.

    \b
    not finite     a cost is NaN or infinite, from the step that is named
    diverging      training rises in the last third (of 8 points at least), or ends above its start
    overfitting    validation rose since its best, by 5 % of its fall and 3 times its noise at
                   least, and training did not
    still falling  the last third falls: by 1 % of the whole fall and by the noise at least, with a
                   trend (Mann-Kendall z) beyond 2.58; its size is Theil and Sen's slope times its
                   length
    converged      none of these; flat, if it does not end below its start by more than 3 times its
                   noise
    short          fewer than 6 points

    The fall is from the start, the median of the first tenth, to the best; noise is estimated from second differences.
    The verdict is validation's, where there is one and it is not short.

    Exit codes: 0 done, whatever the verdict; 2 the request is wrong (no such file or column); 3 the data
    is bad (damaged or empty logs, text for costs); 1 a defect.
    """
    import fastloss as fl

    found = fl.curves(list(files), train=train, validation=validation, step=step, run=run)
    from fastloss.reports.curves import curves_document, curves_text

    told(found, curves_text, curves_document, as_json, quiet)
