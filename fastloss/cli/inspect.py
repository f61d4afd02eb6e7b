"""`fastloss inspect`: what prediction files hold, before hours are spent on them."""

import click

from fastloss.cli import BAD_DATA, OK, USAGE
from fastloss.cli.running import debug_option, emit
from fastloss.cli.stores import storage_option

SHOWN = 20  # files, and columns of one


@click.command(short_help="What prediction files hold: a dry run.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--format", type=click.Choice(["csv", "tsv", "jsonl", "arrow"]), help="Of standard input, where FILE is -.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON (schema 1) instead of tables.")
@storage_option
@debug_option
def command(files, format, as_json, storage_options):
    """What prediction files hold: rows, columns, which of them look like targets, predictions and weights, the memory that evaluating them
    takes, and advice. Headers and first rows are read, and nothing more.

    \b
    fastloss inspect 'preds/**/*.parquet'
    fastloss inspect preds.jsonl --json

    Exit codes: 0 all files can be read, 2 one is not there or of no known kind, 3 one is broken.
    """
    import fastloss as fl

    found = fl.inspect_files(files, format, storage_options=storage_options)
    if as_json:
        from fastloss.reports.json import dumps, inspection_document

        emit(dumps(inspection_document(found, fl.__version__)))
    else:
        emit(text_of(found))
    for each in found:
        if each.error is not None:
            click.echo(f"Error: {each.error}", err=True)
    broken = [each.error for each in found if each.error is not None]
    return OK if not broken else BAD_DATA if any(isinstance(error, fl.DataError) for error in broken) else USAGE


def text_of(found):
    """Tables of the files and of the first one's columns, and what there is to say of them."""
    from fastloss.reports.table import bytes_text, table

    rows = []
    for each in found[:SHOWN]:
        groups = "" if each.groups is None else str(len(each.groups))
        size, memory = ("" if count is None else bytes_text(count) for count in (each.bytes, each.memory))
        rows.append((each.path, size, "" if each.rows is None else str(each.rows), groups, memory if each.error is None else "broken"))
    text = table(("file", "size", "rows", "row groups", "memory"), rows, right=("size", "rows", "row groups", "memory"))
    if len(found) > SHOWN:
        text += f"and {len(found) - SHOWN} files more\n"
    first = next((each for each in found if each.error is None), None)
    if first is None:
        return text
    roles = {name: role for role, name in first.guess.items() if name}
    lines = []
    for name, column in list(first.columns.items())[:SHOWN]:
        matching = [role for given, role in roles.items() if given == name or (given.endswith("*") and name.startswith(given[:-1]))]
        lines.append((name, column.type + (f", rows of {column.width}" if column.width else ""), f"{matching[0]}?" if matching else ""))
    text += "\n" + table(("column", "type", "looks like"), lines)
    if len(first.columns) > SHOWN:
        text += f"and {len(first.columns) - SHOWN} columns more\n"
    said = [f"{each.path}: {sentence}" for each in found for sentence in each.advice]
    return text + ("\n" if said else "") + "".join(f"{sentence}\n" for sentence in said[:SHOWN])
