"""README: its commands run, its Python runs, its tables are the registry's."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import fastloss

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def test_the_two_lines():
    """One line installs and runs the main job, one installs and runs the tests; here without their installing half."""
    lines = [block.strip() for block in blocks("sh")[:2]]
    assert all(line.count("\n") == 0 and line.startswith("python3 -m venv .venv && .venv/bin/pip install ") for line in lines)
    assert lines[1].endswith("&& .venv/bin/python -m pytest")
    job = shlex.split(lines[0].rpartition("&& ")[2])
    assert job[:2] == [".venv/bin/fastloss", "eval"]
    run = subprocess.run([sys.executable, "-m", "fastloss", *job[1:]], capture_output=True, text=True, cwd=README.parent)
    assert run.returncode == 0, run.stderr
    rows = run.stdout.splitlines()
    assert len(rows) == 3 and rows[1].startswith("log_loss") and rows[2].startswith("brier")
    assert 0 < float(rows[2].split()[1]) < float(rows[1].split()[1]) < 0.2, "the models are good, and so must be their losses"


def test_the_python_block_runs():
    (code,) = blocks("python")
    space = {}
    exec(code, space)
    assert space["s"].compute() == space["h"](space["y"], space["p"])


def test_the_error_is_what_is_said():
    statement, message = re.search(r">>> (fl\.hinge.*)\n(InputError: .*)", TEXT).groups()
    try:
        exec(statement, {"fl": fastloss, "np": __import__("numpy")})
    except fastloss.InputError as error:
        assert f"InputError: {error}" == message
    else:
        raise AssertionError("README's example of an error is none")


def test_the_table_of_losses_is_the_registrys():
    from benchmarks.readme import between, losses_table

    assert between(TEXT, "losses") == losses_table()


def test_commands_shown_exist():
    for line in "".join(blocks("sh")[2:]).splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["fastloss"]:
            shown = subprocess.run([sys.executable, "-m", "fastloss", words[1], "--help"], capture_output=True, text=True)
            assert shown.returncode == 0
            for option in (word for word in words if word.startswith("--")):
                assert option in shown.stdout, (line, option)
