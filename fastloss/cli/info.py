"""`fastloss info`: what runs here. For bug reports."""

import click

from fastloss.cli.running import debug_option, emit


@click.command(short_help="What runs here: version, backend, instruction set, threads.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON instead of text.")
@debug_option
def command(as_json):
    """Version, backend, instruction set and threads in use.

    \b
    fastloss info
    fastloss info --json
    """
    import fastloss as fl

    facts = fl.info()
    if as_json:
        from fastloss.reports.json import dumps

        emit(dumps(facts))
        return
    width = max(map(len, facts)) + 2
    emit("".join(f"{key:<{width}}{shown(value)}\n" for key, value in facts.items() if value is not None))


def shown(value):
    return ", ".join(map(str, value)) if isinstance(value, list | tuple | set | frozenset) else str(value)
