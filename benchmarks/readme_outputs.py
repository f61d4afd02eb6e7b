"""Outputs of commands that README shows, and that are the same everywhere."""

import contextlib
import io
import shlex
from pathlib import Path

from fastloss.cli import main

ROOT = Path(__file__).resolve().parent.parent
COMPARE = (
    "fastloss compare -q fastloss/samples/breast_cancer.csv fastloss/samples/breast_cancer_lda.csv "
    "-l brier -l zero_one --by diagnosis --max-regression 5%"
)


def compare_block():
    """What `fastloss compare` prints of two models' predictions of the same diagnoses: of losses of plain arithmetic, whose bits no
    instruction set decides."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(shlex.split(COMPARE)[1:])
    return f"```\n$ {COMPARE}\n{out.getvalue()}{err.getvalue()}$ echo $?\n{code}\n```"
