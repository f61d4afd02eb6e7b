"""Curves: the logs that people have, written as their libraries write them, and which of their columns are the costs."""

import csv
import json

import numpy as np
import pytest

import fastloss as fl
from fastloss.evaluation.curves.choose import choose
from fastloss.evaluation.curves.logs import Log

N = 12
TRAIN = [1 / (1 + i) for i in range(N)]
VALIDATION = [1.1 / (1 + i) + 0.01 for i in range(N)]
EPOCHS = tuple(map(float, range(N)))


def keras_csv(path):
    rows = [[e, 0.5, t, 0.5, v] for e, t, v in zip(range(N), TRAIN, VALIDATION, strict=True)]
    write(path / "log.csv", ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"], rows)
    return path / "log.csv", ("loss", "val_loss", "epoch")


def keras_history(path):
    (path / "history.json").write_text(json.dumps({"loss": TRAIN, "accuracy": [0.5] * N, "val_loss": VALIDATION}))
    return path / "history.json", ("loss", "val_loss", None)


def lightning_csv(path):
    """Of each epoch a row for a step's loss, one for validation, one for the epoch's loss; empty elsewhere."""
    rows = []
    for e in range(N):
        step = e * 10
        rows += [[e, 0.1, step + 1, "", TRAIN[e] + 2, ""], [e, 0.1, step + 4, "", TRAIN[e] + 1, ""]]
        rows += [[e, "", step + 9, "", "", VALIDATION[e]], [e, "", step + 9, TRAIN[e], "", ""]]
    write(path / "metrics.csv", ["epoch", "lr-Adam", "step", "train_loss_epoch", "train_loss_step", "val_loss"], rows)
    return path / "metrics.csv", ("train_loss_epoch", "val_loss", "epoch")


def xgboost_json(path):
    (path / "evals.json").write_text(json.dumps({"train": {"rmse": TRAIN, "mae": TRAIN}, "eval": {"rmse": VALIDATION, "mae": VALIDATION}}))
    return path / "evals.json", ("train/rmse", "eval/rmse", None)


def xgboost_unnamed(path):
    (path / "evals.json").write_text(json.dumps({"validation_0": {"logloss": TRAIN}, "validation_1": {"logloss": VALIDATION}}))
    return path / "evals.json", ("validation_0/logloss", "validation_1/logloss", None)


def lightgbm_json(path):
    (path / "evals.json").write_text(json.dumps({"training": {"l2_error": TRAIN}, "valid_1": {"l2_error": VALIDATION}}))
    return path / "evals.json", ("training/l2_error", "valid_1/l2_error", None)


def hugging_face(path):
    history = []
    for e in range(N):
        history += [{"epoch": float(e), "learning_rate": 5e-5, "loss": TRAIN[e], "step": e * 10}]
        history += [{"epoch": float(e), "eval_loss": VALIDATION[e], "eval_runtime": 3.2, "step": e * 10}]
    history.append({"epoch": float(N), "step": N * 10, "train_loss": 0.4, "train_runtime": 33.1, "total_flos": 1e15})
    (path / "trainer_state.json").write_text(json.dumps({"best_metric": None, "epoch": float(N), "log_history": history}))
    return path / "trainer_state.json", ("loss", "eval_loss", "epoch")


def json_lines(path):
    lines = [json.dumps({"epoch": e, "train": {"loss": TRAIN[e]}, "valid": {"loss": VALIDATION[e]}}) for e in range(N)]
    (path / "log.jsonl").write_text("\n".join([*lines, '{"epoch": 12, "tra']))  # killed while it wrote
    return path / "log.jsonl", ("train/loss", "valid/loss", "epoch")


def tsv(path):
    (path / "log.tsv").write_text("iter\tTrainLoss\tvalLoss\n" + "".join(f"{e}\t{TRAIN[e]!r}\t{VALIDATION[e]!r}\n" for e in range(N)))
    return path / "log.tsv", ("TrainLoss", "valLoss", "iter")


def records(path):
    (path / "log.json").write_text(json.dumps([{"step": e, "nll": TRAIN[e], "dev_nll": VALIDATION[e]} for e in range(N)]))
    return path / "log.json", ("nll", "dev_nll", "step")


def lines_in_json(path):
    (path / "log.json").write_text("\n".join(json.dumps({"epoch": e, "loss": TRAIN[e], "test_loss": VALIDATION[e]}) for e in range(N)))
    return path / "log.json", ("loss", "test_loss", "epoch")


def pandas_csv(path):
    write(path / "log.csv", ["", "train_cost", "val_cost"], [[e, TRAIN[e], VALIDATION[e]] for e in range(N)])
    return path / "log.csv", ("train_cost", "val_cost", "")


def write(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


KINDS = [keras_csv, keras_history, lightning_csv, xgboost_json, xgboost_unnamed, lightgbm_json, hugging_face, json_lines, tsv, records,
         lines_in_json, pandas_csv]  # fmt: skip


@pytest.mark.parametrize("make", KINDS)
def test_logs_that_people_have(make, tmp_path):
    path, (train, validation, step) = make(tmp_path)
    found = fl.curves(path)
    assert found.columns == {"train": train, "validation": validation, "step": step, "run": None} and found.files == (str(path),)
    (run,) = found.runs
    assert run.points == (EPOCHS, tuple(VALIDATION))
    assert (run.verdict, run.best_at, run.best) == ("still falling", N - 1, VALIDATION[-1])
    assert run.train.best == TRAIN[-1] and run.train.n == N and run.gap_at_best == pytest.approx(VALIDATION[-1] - TRAIN[-1])


def test_history_by_runs(tmp_path):
    path = tmp_path / "runs.json"
    path.write_text(json.dumps({"adam": {"loss": TRAIN, "val_loss": VALIDATION}, "sgd": {"loss": TRAIN[:8], "val_loss": VALIDATION[:8]}}))
    found = fl.curves(path)
    assert [(run.run, run.train.n, run.best) for run in found.runs] == [("adam", N, VALIDATION[-1]), ("sgd", 8, VALIDATION[7])]


def test_missing_is_not_nan(tmp_path):
    (tmp_path / "a.csv").write_text("loss\n3\n\n2\nNaN\ninf\nNone\n-\n1\n")
    (run,) = fl.curves(tmp_path / "a.csv").runs
    assert run.verdict == "not finite" and (run.train.n, run.train.not_finite) == (3, 2)
    (tmp_path / "b.json").write_text('{"loss": [3, null, NaN, 1]}')
    (run,) = fl.curves(tmp_path / "b.json").runs
    assert (run.train.n, run.train.not_finite, run.train.not_finite_from) == (2, 1, 2)


@pytest.mark.parametrize(("names", "train", "validation"), [
    (["loss", "val_loss", "acc", "val_acc"], "loss", "val_loss"), (["train_rmse", "test_rmse", "val_rmse"], "train_rmse", "val_rmse"),
    (["loss", "rmse", "val_rmse"], "rmse", "val_rmse"), (["training loss", "validation loss"], "training loss", "validation loss"),
    (["trainLoss", "evalLoss"], "trainLoss", "evalLoss"), (["trainloss", "testloss"], "trainloss", "testloss"),
    (["Loss/train", "Loss/test"], "Loss/train", "Loss/test"), (["mlogloss", "lr"], "mlogloss", None), (["val_nll"], None, "val_nll"),
    (["mse", "loss", "val_mse", "val_loss"], "loss", "val_loss"), (["values"], "values", None),
    (["train/loss", "eval/loss", "train/grad_norm"], "train/loss", "eval/loss"), (["transferred", "items", "ce"], "ce", None),
    (["training/l2", "valid_0/l2", "valid_0/auc"], "training/l2", "valid_0/l2"), (["valrmse", "trainrmse"], "trainrmse", "valrmse"),
])  # fmt: skip
def test_names(names, train, validation):
    chosen = choose(Log(None, {name: [1.0, 0.5] for name in names}, 2))
    assert (chosen.train, chosen.validation) == (train, validation)


def test_the_loss_curve_of_a_trained_network():
    from sklearn.datasets import load_breast_cancer
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    x, y = load_breast_cancer(return_X_y=True)
    model = MLPClassifier((8,), max_iter=2000, random_state=0, tol=1e-4, learning_rate_init=0.01).fit(StandardScaler().fit_transform(x), y)
    (run,) = fl.curves({"loss": model.loss_curve_}).runs
    assert run.best == min(model.loss_curve_) and run.best_at == int(np.argmin(model.loss_curve_))
    assert run.verdict == "still falling" and run.train.level < 0.8 * float(np.median(model.loss_curve_[-60:])), "by a third since then"
