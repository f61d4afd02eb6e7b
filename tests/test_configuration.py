"""Options of `fastloss eval` from pyproject.toml, --config and the environment."""

import json

import pytest

from fastloss.cli import main


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.csv").write_text("y,p,g\n1,2,u\n3,3,v\n")
    monkeypatch.chdir(tmp_path)
    for name in ("FASTLOSS_CONFIG", "FASTLOSS_EVAL_LOSS"):
        monkeypatch.delenv(name, raising=False)

    def called(*words):
        """(exit code, names of the losses or the error, document)"""
        code = main(["eval", *words, "--json", "--quiet"])
        captured = capsys.readouterr()
        document = json.loads(captured.out) if code == 0 else {}
        return code, [result["name"] for result in document.get("results", ())] if code == 0 else captured.err, document

    return called


@pytest.fixture
def configured(tmp_path):
    def write(text, name="pyproject.toml"):
        (tmp_path / name).write_text(text)

    return write


def test_flags_come_before_the_environment_before_files_before_defaults(run, configured, monkeypatch, tmp_path):
    configured('[tool.fastloss.eval]\nloss = ["mse", "mae"]\nby = "g"\n')
    code, losses, document = run("a.csv")
    assert (code, losses) == (0, ["mse", "mae"])
    assert [segment["values"] for segment in document["segments"]] == [["u"], ["v"]]
    configured('[eval]\nloss = "huber:delta=2"\nfiles = ["a.csv"]\nthreads = 1\nspread = true\nquantile = [0.5]\n', "other.toml")
    code, losses, document = run("--config", "other.toml")
    assert (code, losses) == (0, ["huber:delta=2"]) and "segments" not in document
    monkeypatch.setenv("FASTLOSS_CONFIG", "other.toml")
    assert run()[1] == ["huber:delta=2"]
    monkeypatch.setenv("FASTLOSS_EVAL_LOSS", "rmse mae")
    assert run()[1] == ["rmse", "mae"]
    assert run("-l", "msle")[1] == ["msle"]
    monkeypatch.delenv("FASTLOSS_CONFIG")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert run("../a.csv")[2]["by"] == ["g"]  # the nearest pyproject.toml above


def test_other_tables_are_left_alone(run, configured):
    configured('[project]\nname = "x"\n[tool.other]\nloss = 3\n')
    assert run("a.csv", "-l", "mse")[:2] == (0, ["mse"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[eval]\nlos = "mse"', "c.toml: 'los' is no option of fastloss eval; there are files, bootstrap"),
        ('[eval]\nspread = "yes"', "c.toml: 'spread' must be true or false, got 'yes'"),
        ("[eval]\nloss = [[1]]", "c.toml: 'loss' must be text, a number or a list of them, got [[1]]"),
        ("[eval]\nthreads = [1]", "c.toml: 'threads' must be text or a number, got [1]"),
        ("[eval]\nthreads = 0", "0 is not in the range x>=1"),
        ("[eval", "c.toml is not TOML"),
        ("[bench]\nquick = true", "c.toml has no table [tool.fastloss.eval], nor [eval]"),
        (None, "c.toml: No such file"),
    ],
)
def test_what_is_wrong_is_named(run, configured, text, message):
    if text is not None:
        configured(text, "c.toml")
    code, error, _ = run("a.csv", "-l", "mse", "--config", "c.toml")
    assert code == 2 and message in " ".join(error.split())
