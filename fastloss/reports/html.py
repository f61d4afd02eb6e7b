"""An evaluation or a comparison as one HTML file that needs nothing else: no network, no script, under 500 kB whatever the data."""

import contextlib
import os
import tempfile

import fastloss as fl
from fastloss.reports import html_compare, html_evaluation

LIMIT = 500_000  # bytes
DETAILED = (6, 3, 1, 0)  # losses that have pictures; fewer where the page would be too large
SUFFIXES = (".html", ".htm")


def write_html(found, path):
    """Write an Evaluation of ``evaluate_files`` or ``merge_states``, or a Comparison of ``compare_files`` or ``compare``, as one HTML file,
    under 500 kB, that a browser shows without any other file or request.

    What was found is in it: of an evaluation costs, and segments, spread, worst samples, calibration, costs along the rows, where they
    were asked for (evaluate_files(..., report=True) answers all of these); of a comparison which of the two is better, by how much and how
    sure that is, and segments and the samples where they differ most. What was found again gives the same bytes. The file is there as a
    whole or not at all.

    path  must end in .html or .htm; a file that is there is replaced

    Raises TypeError for what is neither, ValueError for another ending, or an evaluation of no rows (of a shard), OSError where the file
    cannot be written.
    """
    path = checked(path)
    data = html_report(found).encode()
    handle, made = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=f".{os.path.basename(path)[:100]}.")
    try:
        with open(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(made, 0o666 & ~mask)  # as files are made; mkstemp's are for the owner alone
        os.replace(made, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(made)
        raise


def checked(path):
    """The path as text. ValueError if it does not end as an HTML file does, so that no data is ever overwritten."""
    path = os.fspath(path)
    if not isinstance(path, str) or not path.lower().endswith(SUFFIXES):
        raise ValueError(f"`path` of an HTML report must end in .html or .htm, got {path!r}")
    return path


def html_report(found):
    """The document as text."""
    compared = isinstance(found, fl.Comparison)
    if not compared and not (hasattr(found, "results") and hasattr(found, "state")):
        raise TypeError(f"a report is on an Evaluation or a Comparison, got {type(found).__name__}")
    if not found.results:
        raise ValueError("there is nothing to report: no row that counts was evaluated")
    for losses in DETAILED:
        made = (html_compare if compared else html_evaluation).document(found, losses)
        if len(made.encode()) < LIMIT:
            return made
    raise AssertionError("a report without pictures is larger than it can be")
