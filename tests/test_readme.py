"""README: its commands run, its Python runs, its tables are the registry's."""

import importlib.util
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fastloss
from fastloss.engine.configured import Loss

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


SESSION = 5  # blocks that go on from one another; the others, of own losses and of other libraries, are each a program


def test_the_python_blocks_run(monkeypatch):
    """One after the other in one session, as who follows README would."""
    monkeypatch.chdir(README.parent)
    calls, training, rows, files, engines = blocks("python")[:SESSION]
    space = {}
    exec(calls, space)
    assert space["s"].compute() == space["h"](space["y"], space["p"])
    exec(training, space)
    assert space["gradient"] is space["buffer"], "the loop shows how memory is used again"
    np.testing.assert_allclose(space["theta"], [2, -1, 0, 1, 3], atol=0.1)  # what made t
    exec(rows, space)
    labels, logits = space["t"], space["z"].astype(np.float64)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    np.testing.assert_allclose(space["fl"].cross_entropy(labels, space["z"]), -np.log(shares[np.arange(10_000), labels]).mean(), rtol=1e-6)
    assert space["gradient"].shape == (10_000, 10)
    exec(files, space)
    assert space["result"].rows == 569
    if importlib.util.find_spec("distributed") is not None:
        exec(engines, space | {"__name__": "__main__"}, space)
        assert space["found"].rows == 569


@pytest.mark.parametrize("text", blocks("python")[SESSION:], ids=lambda text: re.findall(r"^(?:import|from) (\S+)", text, re.MULTILINE)[-1])
def test_other_blocks_run_as_programs(tmp_path, text):
    for module in re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE):
        pytest.importorskip(module)
    (tmp_path / "block.py").write_text(text)
    run = subprocess.run([sys.executable, "block.py"], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr


def test_methods_named_are_those_that_there_are():
    sentence = re.search(r"has six methods besides its call: (.*?)They write", TEXT, re.DOTALL)[1]
    named = {name for name in re.findall(r"`(\w+)`", sentence) if name != "sample_weight"}
    parameters = {name: inspect.signature(one).parameters for name, one in vars(Loss).items() if inspect.isfunction(one) and name[0] != "_"}
    assert named == {name for name, shown in parameters.items() if shown.keys() & {"loss_out", "gradient_out", "hessian_out"}}
    assert len(named) == 6 and not any("nan" in parameters[name] for name in named)


def test_the_error_is_what_is_said():
    statement, message = re.search(r">>> (fl\.hinge.*)\n(InputError: .*)", TEXT).groups()
    try:
        exec(statement, {"fl": fastloss, "np": np})
    except fastloss.InputError as error:
        assert f"InputError: {error}" == message
    else:
        raise AssertionError("README's example of an error is none")


def test_the_table_of_losses_is_the_registrys():
    from benchmarks.readme import between, losses_table

    assert between(TEXT, "losses") == losses_table()


@pytest.mark.parametrize("name", ["suggest", "curves"])
def test_what_commands_print_is_what_is_shown(name):
    from benchmarks.readme import PRINTED, between, printed

    assert between(TEXT, name) == printed(PRINTED[name])


def test_the_comparison_is_what_the_command_prints():
    from benchmarks.readme import between
    from benchmarks.readme_outputs import compare_block

    shown = between(TEXT, "compare")
    assert shown == compare_block()
    assert "  238       331      0 " in shown and "LDA is better on 331 of 569 diagnoses and worse in the mean" in " ".join(TEXT.split())
    assert "\nworse: brier: " in shown and shown.endswith("$ echo $?\n5\n```")


def test_the_commands_under_measured_tables_are_those_that_make_them():
    """What stands there is what the generator records, and it asks for what the table shows."""
    from benchmarks.readme import bench_command, between, parser, speed_command

    speed, bench = between(TEXT, "speed"), between(TEXT, "bench")
    command = re.search(r"^Made by `(python -m benchmarks\.readme .*)`\.$", speed, re.MULTILINE)[1]
    options = parser().parse_args(shlex.split(command)[3:])
    assert options.write and options.speed and speed_command(options.log2_n, options.seconds) == command
    assert f"\n{2**options.log2_n:,} float32 predictions" in speed
    command = re.search(r"^\$ (fastloss bench.*)$", bench, re.MULTILINE)[1]
    sizes = list(dict.fromkeys(re.findall(r"^(?:squared_error|huber|logistic) +(\S+)", bench, re.MULTILINE)))
    given = command_options(shlex.split(command)[2:])
    assert bench_command([*map(samples, sizes)], given["seconds"] or 2.0, given["threads"]) == command


def samples(size):
    from fastloss.cli.bench import Sizes

    return Sizes().convert(size, None, None)[0]


def command_options(words):
    from fastloss.cli.bench import command

    return command.make_context("bench", words, obj=SimpleNamespace(debug=False)).params


@pytest.mark.parametrize("log2_n, seconds", [(25, 5.0), (24, 5.0), (24, 0.5), (3, 12.0)])
def test_recorded_commands_read_back(log2_n, seconds):
    from benchmarks.readme import bench_command, parser, speed_command
    from fastloss.cli.bench import SIZES

    options = parser().parse_args(shlex.split(speed_command(log2_n, seconds))[3:])
    assert (options.log2_n, options.seconds, options.write, options.speed, options.bench) == (log2_n, seconds, True, True, False)
    given = command_options(shlex.split(bench_command((8, 2**log2_n), seconds, 3))[2:])
    assert (given["sizes"], given["seconds"], given["threads"]) == (((8,), (2**log2_n,)), seconds, 3)
    assert "--without-accuracy" in speed_command(log2_n, seconds, accuracy=False)
    assert bench_command(SIZES, 2.0) == "fastloss bench"
    assert bench_command(SIZES, 5.0) == "fastloss bench --seconds 5"


def test_who_computes_on_one_thread_is_said():
    (said,) = re.findall(r"Rivals compute .*?\.", " ".join(TEXT.split()))
    assert "as many threads" in said and "NumPy" in said and "scikit-learn's metrics" in said


def test_shards_that_are_shown_make_one_run(tmp_path):
    (tmp_path / "fastloss").mkdir()
    (tmp_path / "fastloss" / "samples").symlink_to(README.parent / "fastloss" / "samples")
    (block,) = (block for block in blocks("sh") if "--shard" in block)
    lines = [shlex.split(line, comments=True)[1:] for line in block.splitlines()]
    environment = {**os.environ, "PYTHONPATH": str(README.parent)}

    def run(words):
        words = [sys.executable, "-c", "import sys\nfrom fastloss.cli import main\nsys.exit(main())", *words, "-q"]
        found = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert found.returncode == 0, found.stderr
        return found.stdout

    resumed, one, two, merged = [run(words) for words in lines]
    assert resumed and resumed == run(lines[0]) and (one, two) == ("", "")
    assert merged == run(lines[1][: lines[1].index("--state")]) and len(merged.splitlines()) > 10


def test_commands_shown_exist():
    for line in "".join(blocks("sh")[2:]).splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["fastloss"]:
            shown = subprocess.run([sys.executable, "-m", "fastloss", words[1], "--help"], capture_output=True, text=True)
            assert shown.returncode == 0
            for option in (word for word in words if word.startswith("--")):
                assert option in shown.stdout, (line, option)
