"""Results as text: print() of what Python found is what the command line prints."""

import numpy as np
import pytest

import fastloss as fl
from fastloss.cli import main

SAMPLES = "fastloss/samples/breast_cancer.csv"
LDA = "fastloss/samples/breast_cancer_lda.csv"
PAIR = {"target": "diagnosis", "positive": "benign"}


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)


def printed(capsys, *words):
    assert main([*words, "-q"]) == 0
    return capsys.readouterr().out.rstrip()


def test_results_print_as_the_command_line_prints_them(capsys):
    options = ["-y", "diagnosis", "--positive", "benign"]
    found = fl.evaluate_files(SAMPLES, ["log_loss", "brier"], by="fold", spread=True, worst=3, **PAIR)
    command = ["eval", SAMPLES, "-l", "log_loss", "-l", "brier", *options, "--by", "fold", "--spread", "--worst", "3"]
    assert str(found) == fl.text_of(found).rstrip() == printed(capsys, *command)
    compared = fl.compare_files(SAMPLES, LDA, ["brier"], worst=2, **PAIR)
    assert str(compared) == printed(capsys, "compare", SAMPLES, LDA, "-l", "brier", *options, "--worst", "2")
    suggested = fl.suggest_files(SAMPLES, target="y", prediction="p")
    assert str(suggested) == printed(capsys, "suggest", SAMPLES, "-t", "y", "-p", "p")


def test_curves_and_arrays():
    assert "overfitting" in str(fl.curves("fastloss/samples/boosting.csv"))
    y = np.array([0.0, 1.0, 1.0, 0.0] * 20)
    assert str(fl.suggest(y, 0.5 * y + 0.2)).startswith("task: ")
    compared = fl.compare(["mse"], y, 0.5 * y, 0.9 * y)
    assert "squared_error" in fl.text_of(compared) and "B - A" in fl.text_of(compared)
    with pytest.raises(TypeError, match="float"):
        fl.text_of(0.5)


def test_a_domain_says_what_it_is():
    assert repr(fl.UNIT) == "Interval(0.0, 1.0)" and repr(fl.POSITIVE) == "Interval(0.0, inf, open_low=True)"
    assert eval(repr(fl.Interval(-1, 2, open_high=True)), {"Interval": fl.Interval, "inf": np.inf}).open_high


def test_a_loss_among_the_files_and_a_shard_of_nothing(tmp_path, capsys):
    assert main(["eval", SAMPLES, "-l", "mse", "mae"]) == 2
    assert "mae: there is no such file; it is a loss: to evaluate several, give `-l mae`" in capsys.readouterr().err
    command = ["eval", SAMPLES, "-l", "brier", "-y", "y", "--state", str(tmp_path / "s.fls"), "--shard", "1/2", "--no-progress"]
    assert main(command) == 0
    assert "0 rows of 0 files" in (said := capsys.readouterr().err) and "files of text are not cut" in said
