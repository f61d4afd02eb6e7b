"""The command line: what it prints where, its exit codes, its start-up, and the samples that it is tried on."""

import json
import math
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fastloss as fl
from fastloss.cli import main
from fastloss.cli.app import COMMANDS
from fastloss.losses import definitions, find, spec

REPOSITORY = Path(fl.__file__).parents[1]
SAMPLES = Path(main.__code__.co_filename).parents[1] / "samples"
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]), "TERM": "xterm"}
ENVIRONMENT.pop("CI", None)


def shell(*command, **options):
    """A process of its own, with what it printed as text."""
    return subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, timeout=60, env=ENVIRONMENT, check=False, **options
    )  # fmt: skip


@pytest.fixture
def call(capsys):
    """A command line in this process -> (exit code, standard output, standard error)."""

    def called(*words):
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return called


@pytest.fixture
def good(tmp_path):
    rng = np.random.default_rng(2)
    table = {"y": rng.integers(0, 2, 50), "p": rng.random(50), "w": rng.random(50)}
    pl.DataFrame(table).write_csv(tmp_path / "good.csv")
    return tmp_path / "good.csv", table


def test_eval_prints_results_alone_to_standard_output(call, good):
    path, table = good
    code, out, err = call("eval", path, "-l", "mse", "--loss", "bce", "-w", "w")
    state = fl.State(["mse", "bce"])
    state.update(table["y"], table["p"], table["w"])
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["loss", "cost", "rows", "weight", "sum"]
    assert [(line[0], float(line[1])) for line in lines[1:]] == [(r.spec, r.cost) for r in state.results()]
    assert [line[2] for line in lines[1:]] == ["50", "50"]
    assert re.fullmatch(r"50 rows of 1 file, 2\.\d kB, in \d+\.\d\d s\n", err)


@pytest.mark.parametrize("rows, size, seconds, text", [
    (1, 17, 0.004, "1 row of 1 file, 17 bytes, in 0.00 s"), (999_999, 999, 0.5, "999999 rows of 1 file, 999 bytes, in 0.50 s"),
    (2_000_000, 31_400_000, 0.5, "2000000 rows of 1 file, 31.4 MB, in 0.50 s (4.0 M rows/s)"),
    (3_000_000, 2_500_000_000, 0.0, "3000000 rows of 1 file, 2.5 GB, in 0.00 s"),
])  # fmt: skip
def test_summary(rows, size, seconds, text):
    from fastloss.evaluation import Evaluation
    from fastloss.reports.table import summary

    assert summary(Evaluation((), rows, ({},), size, seconds, {}, (), None)) == text


def test_quiet(call, good):
    assert call("eval", good[0], "-l", "mse", "-q")[::2] == (0, "")


def test_eval_json(call, good):
    path, table = good
    code, out, err = call("eval", path, "-l", "huber:delta=0.25", "--json", "-w", "w", "-j", "1")
    document = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    state = fl.State(["huber:delta=0.25"])
    state.update(table["y"], table["p"], table["w"])
    (expected,) = state.results()
    assert (code, err) == (0, "")
    assert document["schema"] == 1
    assert document["fastloss"] == fl.info()["version"]
    assert document["inputs"] == [{"path": str(path), "rows": 50, "bytes": path.stat().st_size}]
    assert document["columns"] == {"target": "y", "prediction": "p", "weight": "w"}
    (result,) = document["results"]
    weight_sum = pytest.approx(table["w"].sum())
    assert result == {
        "loss": expected.spec,
        "name": expected.name,
        "cost": expected.cost,
        "rows": 50,
        "nan": 0,
        "infinite": 0,
        "weight_sum": weight_sum,
    }
    assert document["engine"]["backend"] == fl.info()["backend"]
    assert document["timing"]["seconds"] > 0


def test_json_of_nan_and_infinity_is_strict(call, tmp_path):
    np.savez(tmp_path / "t.npz", y=[1.0, 1.0], p=[0.0, 0.5], q=[0.5, math.nan])
    costs = {}
    for column in "pq":
        code, out, _ = call("eval", tmp_path / "t.npz", "-l", "log_loss", "-p", column, "--json")
        (result,) = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))["results"]
        costs[column] = (code, result["cost"], result["nan"], result["infinite"])
    assert costs == {"p": (0, "inf", 0, 1), "q": (0, "nan", 1, 0)}


def bad_inputs(folder):
    """{name: (words, exit code, what the message holds)}; writes what they need."""
    (folder / "good.csv").write_text("y,p,s\n1,0.5,a\n0,0.25,b\n")
    (folder / "null.csv").write_text("y,p\n1,0.5\n0,\n")
    (folder / "empty.parquet").write_bytes(b"")
    (folder / "foreign.parquet").write_text("y,p\n1,0.5\n")
    (folder / "t.txt").write_text("y,p\n1,0.5\n")
    np.savez(folder / "domain.npz", y=[0, 0, 0, 7], p=[0.5] * 4)
    np.save(folder / "whole.npy", np.zeros((9, 2)))
    (folder / "cut.npy").write_bytes((folder / "whole.npy").read_bytes()[:-5])
    np.save(folder / "objects.npy", np.array([1, "a"], dtype=object))
    np.savez(folder / "nan.npz", y=[0.0, 1.0], p=[0.5, math.nan])
    f = {name: str(folder / name) for name in os.listdir(folder)}
    return {
        "no loss": (["eval", f["good.csv"]], 2, "give one loss or more"),
        "unknown loss": (["eval", f["good.csv"], "-l", "log_los"], 2, "did you mean 'log_loss'"),
        "unknown parameter": (["eval", f["good.csv"], "-l", "huber:dleta=1"], 2, "delta"),
        "bad parameter": (["eval", f["good.csv"], "-l", "huber:delta=-1"], 2, "> 0"),
        "loss twice": (["eval", f["good.csv"], "-l", "mse", "-l", "mse"], 2, "twice"),
        "missing column": (["eval", f["good.csv"], "-l", "mse", "-p", "q"], 2, "no column 'q'; it has y, p, s"),
        "text column": (["eval", f["good.csv"], "-l", "mse", "-p", "s"], 2, "must hold numbers, got text, such as 'a' in row 0"),
        "missing file": (["eval", str(folder / "none.csv"), "-l", "mse"], 2, "there is no such file"),
        "no file": (["eval", "-l", "mse"], 2, "no file is given"),
        "pattern": (["eval", str(folder / "*.tsv"), "-l", "mse"], 2, "no file matches"),
        "directory": (["eval", str(folder), "-l", "mse"], 2, "of no known kind"),
        "extension": (["eval", f["t.txt"], "-l", "mse"], 2, "unknown kind of file '.txt'"),
        "unknown option": (["eval", f["good.csv"], "--los", "mse"], 2, "--loss"),
        "unknown command": (["evl"], 2, "evl"),
        "bad nan": (["eval", f["good.csv"], "-l", "mse", "--nan", "drop"], 2, "propagate"),
        "bad threads": (["eval", f["good.csv"], "-l", "mse", "-j", "0"], 2, "-j"),
        "bad label": (["eval", f["good.csv"], "-l", "mse", "--positive", "x"], 2, "`positive` must be one of its values"),
        "mistyped label": (["eval", f["good.csv"], "-l", "mse", "-y", "s", "--positive", "A"], 2, "labels found: 'a', 'b'"),
        "null": (["eval", f["null.csv"], "-l", "mse"], 3, "null.csv, row 1: column 'p' has a missing value"),
        "empty": (["eval", f["empty.parquet"], "-l", "mse"], 3, "the file is empty"),
        "foreign": (["eval", f["foreign.parquet"], "-l", "mse"], 3, "not a Parquet file"),
        "domain": (["eval", f["domain.npz"], "-l", "log_loss"], 3, "domain.npz, row 3: column 'y' of log_loss must be in [0, 1], got 7"),
        "truncated": (["eval", f["cut.npy"], "-l", "mse", "-y", "0", "-p", "1"], 3, "announces 144 bytes of data, the file holds 139"),
        "objects": (["eval", f["objects.npy"], "-l", "mse", "-y", "0", "-p", "0"], 3, "never unpickled"),
        "nan raise": (["eval", f["nan.npz"], "-l", "mse", "--nan", "raise"], 3, "nan.npz, row 1"),
        "reference of none": (["losses", "nothing_like_it"], 2, "unknown loss"),
    }


BAD = """no loss, unknown loss, unknown parameter, bad parameter, loss twice, missing column, text column, missing file, no file, pattern,
directory, extension, unknown option, unknown command, bad nan, bad threads, bad label, mistyped label, null, empty, foreign, domain,
truncated, objects, nan raise, reference of none"""
BAD = BAD.replace("\n", " ").split(", ")


@pytest.mark.parametrize("name", BAD)
def test_bad_input_has_its_exit_code_and_one_clear_message(call, tmp_path, name):
    words, code, text = bad_inputs(tmp_path)[name]
    found, out, err = call(*words)
    assert (found, out) == (code, ""), err
    assert text in err
    assert "Traceback" not in err
    assert sum(line.startswith("Error: ") for line in err.splitlines()) == 1


def test_every_bad_input_is_tried(tmp_path):
    assert sorted(bad_inputs(tmp_path)) == sorted(BAD)


def test_debug_shows_the_traceback(call, good):
    for words in (["eval", good[0], "-l", "mse", "-p", "q", "--debug"], ["--debug", "eval", good[0], "-l", "mse", "-p", "q"]):
        code, _, err = call(*words)
        assert code == 2
        assert "Traceback" in err


def test_defects_and_interrupts_have_their_codes(call, good, monkeypatch):
    kinds = [(KeyboardInterrupt(), 130, "interrupted"), (RuntimeError("odd"), 1, "a defect"), (MemoryError(), 1, "memory")]
    for error, code, text in kinds:

        def broken(*_args, _error=error, **_options):
            raise _error

        monkeypatch.setattr(fl.State, "update", broken)
        found, out, err = call("eval", good[0], "-l", "mse")
        assert (found, out) == (code, "")
        assert text in err
        assert "Traceback" not in err


def test_nan_skip(call, tmp_path):
    (tmp_path / "t.csv").write_text("y,p\n1,0.5\n0,\n")
    code, out, _ = call("eval", tmp_path / "t.csv", "-l", "mse", "--nan", "skip")
    assert code == 0
    assert out.splitlines()[1].split()[:2] == ["squared_error", "0.25"]


def test_closed_pipe_is_quiet():
    for words in (["losses"], ["eval", SAMPLES / "diabetes.csv", "-l", "mse", "-q"], ["info"]):
        process = subprocess.Popen(
            [sys.executable, "-m", "fastloss", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
        )  # fmt: skip
        process.stdout.close()
        assert (process.stderr.read(), process.wait(60)) == (b"", 141)
        process.stderr.close()


def test_a_pipe_gets_no_bar_and_no_colour(good):
    done = shell("-m", "fastloss", "eval", good[0], "-l", "mse")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_terminal_gets_a_bar_and_a_table(good):
    master, slave = pty.openpty()
    words = [sys.executable, "-m", "fastloss", "eval", str(good[0]), "-l", "huber:delta=2"]
    process = subprocess.Popen(words, stdout=slave, stderr=slave, env=ENVIRONMENT)
    os.close(slave)
    text = b""
    try:
        while part := os.read(master, 4096):
            text += part
    except OSError:  # Linux's way to say that the other side has closed
        pass
    os.close(master)
    assert process.wait(60) == 0
    assert "─" in text.decode()
    assert "50 rows" in text.decode()
    assert b"\x1b[" in text


LIGHT = """
import sys
from fastloss.cli import main
code = main(sys.argv[1:])
print(code, sorted({"numpy", "polars", "rich", "pyarrow", "numba"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["eval", "--help"], ["losses", "--help"], ["bench", "--help"], ["losses"], ["losses", "huber"]]
)
def test_help_version_and_reference_import_nothing_heavy(words):
    done = shell("-c", LIGHT, *words)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert done.stderr == ""


@pytest.mark.parametrize("command", [None, *COMMANDS])
@pytest.mark.parametrize("columns", ["80", "200"])
def test_help_fits_into_100_columns(command, columns, call, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    code, text, _ = call(*[command] * (command is not None), "--help")
    assert code == 0 and not [line for line in text.splitlines() if len(line) > 100]


@pytest.mark.parametrize(("library", "words"), [("click", ["--help"]), ("polars", ["eval", SAMPLES / "diabetes.csv", "-l", "mse"])])
def test_a_missing_library_is_asked_for_by_name(library, words):
    done = shell("-c", f"import sys; sys.modules[{library!r}] = None; from fastloss.cli import main; sys.exit(main(sys.argv[1:]))", *words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert library in done.stderr
    assert 'pip install "fastloss[files]"' in done.stderr


def test_arrays_need_no_polars(tmp_path):
    np.save(tmp_path / "t.npy", np.eye(2))
    script = "import sys; sys.modules['polars'] = None; from fastloss.cli import main; sys.exit(main(sys.argv[1:]))"
    done = shell("-c", script, "eval", tmp_path / "t.npy", "-y", "0", "-p", "1", "-l", "mse")
    assert (done.returncode, done.stdout.split()[-3:]) == (0, ["squared_error", "1.0", "2"])


def test_losses_lists_every_loss(call):
    code, out, _ = call("losses")
    assert code == 0
    for definition in definitions():
        assert re.search(rf"^{definition.name} .*{re.escape(definition.formula)}$", out, re.MULTILINE)


@pytest.mark.parametrize("name", [definition.name for definition in definitions()])
def test_reference_of_each_loss(call, name):
    definition = find(name)
    for spelling in (name, *definition.aliases[:1]):
        code, out, _ = call("losses", spelling)
        assert code == 0
        for part in (definition.formula, definition.source, str(definition.target), *definition.aliases, *definition.parameters):
            assert part in out
        if not definition.base:
            assert "def value(" in out
            assert "def hessian(" in out or definition.rows or definition.terms
    code, out, _ = call("losses", name, "--json")
    document = json.loads(out)
    assert (code, document["name"], list(document["parameters"])) == (0, name, list(definition.parameters))


def test_losses_json(call):
    assert [entry["name"] for entry in json.loads(call("losses", "--json")[1])] == [definition.name for definition in definitions()]


def test_info(call):
    code, out, _ = call("info")
    assert code == 0
    for key in ("version", "backend", "threads"):
        assert re.search(rf"^{key} +{re.escape(str(fl.info()[key]))}$", out, re.MULTILINE)
    assert json.loads(call("info", "--json")[1])["backend"] == fl.info()["backend"]


def test_version(call):
    assert call("--version") == (0, f"fastloss {fl.__version__}\n", "")


def test_samples_give_the_same_from_csv_and_parquet_and_by_label(call):
    words = ["-l", "log_loss", "-l", "brier", "--json"]
    label = ["-y", "diagnosis", "--positive", "benign"]
    cases = [("breast_cancer.csv", []), ("breast_cancer.parquet", []), ("breast_cancer.csv", label), ("breast_cancer.parquet", label)]
    results = [json.loads(call("eval", SAMPLES / name, *words, *more)[1])["results"] for name, more in cases]
    assert all(result == results[0] for result in results)
    assert 0.05 < results[0][0]["cost"] < 0.12
    assert results[0][0]["rows"] == 569


def test_the_example_of_labels_in_the_help_is_right(call):
    """The sample's p and z are of the class that it calls benign: z is the logit of p."""
    (line,) = re.findall(r"fastloss eval (.*--positive.*)", call("eval", "--help")[1])
    words = line.replace("fastloss/samples", str(SAMPLES)).split()
    cost = json.loads(call("eval", *words, "--json")[1])["results"][0]["cost"]
    assert cost == pytest.approx(fl.evaluate_files(SAMPLES / "breast_cancer.csv", "log_loss").costs["log_loss"], rel=1e-6)


def test_samples_are_what_their_script_writes(tmp_path):
    pytest.importorskip("sklearn")
    from fastloss.samples.make import main as make

    make(tmp_path)
    for name in ("breast_cancer.csv", "diabetes.csv", "iris.csv", "boosting.csv"):
        assert (tmp_path / name).read_text() == (SAMPLES / name).read_text()
    assert pl.read_parquet(tmp_path / "breast_cancer.parquet").equals(pl.read_parquet(SAMPLES / "breast_cancer.parquet"))
    assert sum(f.stat().st_size for f in SAMPLES.iterdir() if f.is_file()) < 100_000


OWN = """import fastloss as fl
from fastloss.rows import LABELS, Partition

@fl.loss(formula="log(1 + e**2 / scale**2)")
class Lorentz:
    scale = fl.Parameter(1.0, fl.POSITIVE)

    def value(y, p, scale):
        return log1p((p - y) * (p - y) / (scale * scale))

@fl.loss(target=LABELS)
class RowsOfMine:
    partition = Partition("z")

    def value(c_label, z_label, top, log_rest):
        return c_label * ((top - z_label) + log_rest)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A file with losses of somebody's own, their kernels beside it, and nothing of them left."""
    defined = spec.OWN

    before = dict(defined)
    monkeypatch.setenv("FASTLOSS_CACHE_DIR", str(tmp_path / "kernels"))
    (tmp_path / "file_of_losses.py").write_text(OWN)
    yield tmp_path / "file_of_losses.py"
    defined.clear()
    defined.update(before)
    sys.modules.pop("file_of_losses", None)


def test_own_losses_are_shown(call, own):
    code, text, said = call("losses", f"{own}:Lorentz")
    assert code == 0 and "log(1 + e**2 / scale**2)" in text and "def hessian(y, p, scale):" in text, said
    assert "as in: --loss file_of_losses:Lorentz:scale=1.0" in text
    assert json.loads(call("losses", "--json", f"{own}:Lorentz")[1])["parameters"]["scale"]["default"] == 1.0
    code, text, _ = call("losses", f"{own}:RowsOfMine")
    assert code == 0 and 'partition = Partition("z")' in text
    code, _, said = call("losses", f"{own}:Nothing")
    assert code == 2 and "has no Nothing" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import math\nmath.no", "AttributeError: module 'math' has no attribute 'no' ({file}:2)"),
        ("1 / 0", "ZeroDivisionError: division by zero ({file}:1)"), ("open('no.csv')", "FileNotFoundError: [Errno 2] "),
        ("def (:", "SyntaxError: invalid syntax ({name}, line 1)"), ("import no_such", "No module named 'no_such'"),
        ("\nraise ValueError('odd')", "odd"),
    ],
)  # fmt: skip
def test_what_goes_wrong_in_a_module_of_losses_is_told_as_its_own(call, tmp_path, text, words):
    file = tmp_path / "odd_losses.py"
    file.write_text(text)
    code, _, said = call("losses", f"{file}:Mine")
    assert code == 2 and words.format(file=file, name=file.name) in said and "has no Mine" not in said and "defect" not in said
    assert file.stem not in sys.modules


def test_own_losses_are_timed(call, own):
    pytest.importorskip("numba")
    saved, options = own.with_name("run.json"), ("--n", "2**10", "--seconds", "0", "--no-rivals", "-q")
    code, text, said = call("bench", f"{own}:Lorentz", f"{own}:RowsOfMine", *options, "--json", saved)
    assert code == 0 and "lorentz" in text and "rows_of_mine" in text and not said
    assert call("bench", f"{own}:Lorentz", *options, "--compare", saved, "--threshold", "1e9")[0] == 0
    code, text, said = call("bench", f"{own}:Lorentz:scale=2", *options)
    assert code == 2 and "at their defaults" in said


def test_data_of_any_domain_lie_in_it(own):
    from fastloss.losses.spec import Labels
    from fastloss.measuring.cases import data

    domains = (
        fl.Interval(-2.0, 5.0), fl.Interval(3.0, math.inf), fl.Interval(-math.inf, -1.0), fl.Integers(0, 7), Labels(2.0, 4.0)
    )  # fmt: skip
    for number, domain in enumerate(domains):
        fl.loss(lambda y, p: abs(p - y), name=f"within_{number}", target=domain)
        y, p = data(f"within_{number}", 500, "float32")
        assert all(one in domain for one in y.tolist()) and y.dtype == p.dtype == np.float32 and len(set(y.tolist())) > 1
