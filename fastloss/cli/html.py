"""The option --html of commands that can write a report."""

import click


def html_path(ctx, _parameter, path):
    """The path of a report, checked before hours are spent."""
    if path is None:
        return None
    import os

    from fastloss.reports.html import checked

    folder = os.path.dirname(path) or "."
    try:
        checked(path)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx) from error
    if os.path.isdir(path) or not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise click.BadParameter(f"{path!r} cannot be written: {folder!r} must be a directory that may be written to", ctx)
    return path


html_option = click.option(
    "--html", metavar="PATH", callback=html_path, help="Write a report for a browser, too: one file, with pictures and words."
)
