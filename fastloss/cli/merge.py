"""`fastloss merge`: what shards of an evaluation saved, as one."""

import click

from fastloss.cli.eval import shown
from fastloss.cli.html import html_option
from fastloss.cli.running import debug_option


@click.command(short_help="Results of the states that shards saved.")
@click.argument("states", metavar="STATE...", nargs=-1, required=True)
@click.option("--partial", metavar="PATH", help="Save the merged state, to be merged with others; shards may be missing.")
@html_option
@click.option("--json", "as_json", is_flag=True, help="Write JSON (schema 1) instead of a table.")
@click.option("--quiet", "-q", is_flag=True, help="Nothing but results and errors: no notes, no summary.")
@debug_option
def command(states, partial, html, as_json, quiet):
    """Results of the states that shards of an evaluation saved: the same bits as one run on one machine.

    \b
    fastloss eval 'p/*.parquet' -l log_loss --state 1.fls --shard 1/2      on one machine
    fastloss eval 'p/*.parquet' -l log_loss --state 2.fls --shard 2/2      on another
    fastloss merge 1.fls 2.fls

    Every row must be counted once: shards that are missing, come twice, are not complete, or are of other
    questions or files are refused by name. With --partial shards may be missing: the merged state is saved,
    and results are those of what is there, and say what is missing. --html shows what the shards were asked
    for: --spread, --worst, --by, --calibration.

    Exit codes: 0 done, 2 the states do not go together, 3 one is damaged, 4 shards left out files (--keep-going).
    """
    if html is not None and html == partial:
        raise click.UsageError("--html and --partial are two files; give them two names")
    import fastloss as fl

    evaluation = fl.merge_states(states, partial)
    if html is not None:
        if not evaluation.results:
            raise click.UsageError("--html: there is nothing to report, because no row that counts is in these states")
        evaluation.write_html(html)
    if partial is None:
        return shown(evaluation, as_json, quiet)
    from fastloss.reports.table import summary

    return shown(evaluation, as_json, quiet, f"saved to {partial}: {summary(evaluation)}")
