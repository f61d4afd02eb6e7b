"""From exceptions to messages and exit codes. Results go to standard output, everything else to standard error."""

import os
import sys
from types import SimpleNamespace

import click

from fastloss.cli import BAD_DATA, CLOSED_PIPE, INTERRUPTED, OK, UNEXPECTED, USAGE


def remember_debug(ctx, _parameter, wanted):
    ctx.obj.debug |= wanted


debug_option = click.option(
    "--debug", is_flag=True, is_eager=True, expose_value=False, callback=remember_debug, help="Show the traceback of an error."
)  # fmt: skip


def run(argv):
    """Run the command line; returns the exit code."""
    from fastloss.cli.app import app

    settings = SimpleNamespace(debug=False)
    try:
        code = app.main(args=argv, prog_name="fastloss", standalone_mode=False, obj=settings)
        sys.stdout.flush()
        return code if isinstance(code, int) else OK
    except SystemExit as error:  # click's way out when a pipe is closed, and of shell completion
        return error.code if isinstance(error.code, int) else OK
    except BaseException as error:  # noqa: BLE001 - the last stop before the shell
        return handled(error, settings.debug)


def handled(error, debug):
    """Tell the user what happened; returns the exit code."""
    if isinstance(error, ClosedPipeError | BrokenPipeError):
        # what is still buffered would be flushed at exit, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    if debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, click.UsageError):
        error.show()
        return USAGE
    if isinstance(error, click.Abort | KeyboardInterrupt):
        kept = error.__cause__ if isinstance(error, click.Abort) else error  # what was saved, where something was
        return said(kept if isinstance(kept, KeyboardInterrupt) and str(kept) else "interrupted", INTERRUPTED)
    if isinstance(error, click.ClickException):
        return said(error.format_message(), USAGE)
    if isinstance(error, ImportError):
        return said(error, USAGE)
    if isinstance(error, OSError):
        return said(error, UNEXPECTED)
    if isinstance(error, MemoryError):
        return said("there is not enough memory", UNEXPECTED)
    code = code_of(error)
    if code is None:
        return said(f"unexpected {type(error).__name__}: {error} (a defect of fastloss; --debug shows where)", UNEXPECTED)
    return said(error, code)


def code_of(error):
    """The exit code for the kinds of errors that evaluation and engine state, or None."""
    if not isinstance(error, ValueError):
        return None
    from fastloss import DataError, InputError, SettingError, SourceError

    return USAGE if isinstance(error, SourceError | SettingError) else BAD_DATA if isinstance(error, DataError | InputError) else None


def said(message, code):
    click.echo(f"Error: {message}", err=True)
    return code


class ClosedPipeError(Exception):
    """Whoever read our output wants no more of it. Not an OSError, which click would answer with the exit code of a defect."""


def emit(text):
    """Results, to standard output."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise ClosedPipeError from error


def told(found, text, document, as_json, quiet):
    """What a command found, by one of two functions: text(found), or document(found, version) as JSON; and its notes."""
    if as_json:
        from fastloss import __version__
        from fastloss.reports.json import dumps

        emit(dumps(document(found, __version__)))
    else:
        emit(text(found))
    if not quiet:
        for note in found.notes:
            click.echo(f"note: {note}", err=True)
