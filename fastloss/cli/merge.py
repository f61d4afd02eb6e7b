"""`fastloss merge`: what shards of an evaluation saved, as one."""

import click

from fastloss.cli.eval import said_left_out, shown
from fastloss.cli.running import debug_option


@click.command(short_help="Results of the states that shards saved.")
@click.argument("states", metavar="STATE...", nargs=-1, required=True)
@click.option("--partial", metavar="PATH", help="Save the merged state, which may lack shards, to be merged with others.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON (schema 1) instead of a table.")
@click.option("--quiet", "-q", is_flag=True, help="Nothing but results and errors: no notes, no summary.")
@debug_option
def command(states, partial, as_json, quiet):
    """Results of the states that shards of an evaluation saved: the same bits as one run on one machine.

    \b
    fastloss eval 'p/*.parquet' -l log_loss --state 1.fls --shard 1/2      on one machine
    fastloss eval 'p/*.parquet' -l log_loss --state 2.fls --shard 2/2      on another
    fastloss merge 1.fls 2.fls

    Every row must be counted once: shards that are missing, come twice, are not complete, or are of other
    questions or files are refused by name. With --partial the merged state is saved, and nothing is shown.

    Exit codes: 0 done, 2 the states do not go together, 3 one is damaged, 4 shards left out files (--keep-going).
    """
    import fastloss as fl

    evaluation = fl.merge_states(states, partial)
    if partial is None:
        return shown(evaluation, as_json, quiet)
    if not quiet:
        click.echo(f"{evaluation.rows} rows of {len(evaluation.files)} files, saved to {partial}", err=True)
    return said_left_out(evaluation)
