"""The group of commands. A command is the ``command`` of the module of its name, imported when it is asked for."""

from importlib import import_module

import click

from fastloss.cli.running import debug_option

COMMANDS = ("eval", "compare", "merge", "inspect", "suggest", "curves", "losses", "bench", "info")


class Commands(click.Group):
    """Commands by the names of their modules."""

    def list_commands(self, ctx):
        return list(COMMANDS)

    def get_command(self, ctx, name):
        return import_module(f"fastloss.cli.{name}").command if name in COMMANDS else None


def show_version(ctx, _parameter, wanted):
    if wanted and not ctx.resilient_parsing:
        import fastloss

        click.echo(f"fastloss {fastloss.__version__}")
        ctx.exit()


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=show_version, help="Show the version and exit.")
@debug_option
def app():
    """Losses of predictions, exact and fast.

    \b
    fastloss eval predictions.parquet --loss log_loss --loss brier
    fastloss eval y_p.npy --target 0 --prediction 1 --loss huber:delta=2
    fastloss compare a.csv b.csv -l mse    is B better than A?
    fastloss merge 'shard*.fls'            what shards of an evaluation saved, as one
    fastloss inspect predictions.parquet   columns, sizes, memory, advice
    fastloss suggest predictions.csv       which losses fit, which do not, and why
    fastloss curves training.csv           converged, overfitting, diverging ...
    fastloss losses                        all losses
    fastloss losses log_loss               one of them in full
    fastloss bench                         speed here, beside other libraries

    Exit codes: 0 done, 2 the request is wrong (unknown loss, no such file or
    column), 3 the data is bad (values outside a domain, missing values, damaged
    files), 4 files were left out (eval), 5 B is worse than its limit (compare),
    130 interrupted, 1 a defect.
    """
