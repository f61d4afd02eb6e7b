"""`fastloss losses`: what losses there are."""

import click

from fastloss.cli.own import named
from fastloss.cli.running import debug_option, emit


@click.command(short_help="List the losses, or show one in full.")
@click.argument("name", required=False, callback=named)
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of text.")
@debug_option
def command(name, as_json):
    """All losses, or one in full: formula, domains, parameters, notes, code.

    \b
    fastloss losses
    fastloss losses huber
    fastloss losses bce --json
    fastloss losses mymodule:MyLoss    one of your own; also path/of/a/file.py:MyLoss
    """
    from fastloss.losses import definitions, find
    from fastloss.reports import reference

    try:
        chosen = find(name) if name else None
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        from fastloss.reports.json import dumps

        described = reference.described
        emit(dumps(described(chosen) if chosen else [described(definition) for definition in definitions()]))
    else:
        emit(reference.reference(chosen.name) if chosen else reference.listing())
