"""A progress bar on standard error, where it is one that a person watches."""

import importlib.util
import os
import sys
from contextlib import contextmanager


@contextmanager
def progress_bar(wanted=None, unit="rows"):
    """Gives a function (done, in all or None, what is being done) to report to, or None if there is to be no bar.

    wanted  True, False, or None: if standard error is a terminal that can show one, and no CI
    unit    what is counted
    """
    if wanted is None:
        wanted = sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not os.environ.get("CI")
    if not wanted or importlib.util.find_spec("rich") is None:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.completed:,} " + unit), TimeElapsedColumn(), TimeRemainingColumn())
    columns += (TextColumn("{task.description}"),)
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total, what="": bar.update(task, completed=done, total=total, description=what)
