"""The command line: words -> calls of the public face. Nothing heavier than click is imported before a command does its work."""

import sys

OK, UNEXPECTED, USAGE, BAD_DATA, PARTIAL, WORSE, INTERRUPTED, CLOSED_PIPE = 0, 1, 2, 3, 4, 5, 130, 141


def main(argv=None):
    """Run a command line (sys.argv without it) and return the exit code; never raises, and prints a traceback with --debug only."""
    try:
        import click  # noqa: F401
    except ImportError:
        print('the command line needs click, which is not installed: pip install "fastloss[files]"', file=sys.stderr)
        return USAGE
    from fastloss.cli.running import run

    return run(argv)
