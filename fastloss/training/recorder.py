"""Costs of training and validation as they come, with what they show."""

import json
import math
import os
from itertools import zip_longest
from pathlib import Path

import numpy as np

import fastloss as fl

COLUMNS = ("train", "validation")


class Recorder:
    """A log of costs by step, in memory and, if a path is given, in a file as it grows.

    path       a .jsonl file, one object per step, which `fastloss curves` and ``fastloss.curves`` read. A file that is there is
               continued: its steps are taken in, and what a killed run left of a last line is cut off
    step       the name under which steps are counted: "epoch", "iteration", "tree" ...

        log = fl.Recorder("run.jsonl")
        for epoch in range(100):
            ...
            log.record(train=cost, validation=fl.log_loss(y_test, p_test))
            if log.verdict in ("overfitting", "diverging", "not finite"):
                break
        log.best_at, log.best       # the step of the least cost of validation (of training, where there is none), and that cost
        print(log)                  # the verdict and the numbers that say so
        log.plot("run.svg")

    ``log.lightgbm()`` and ``log.catboost()`` are callbacks for these; fastloss.xgboost and fastloss.keras have theirs, Callback(log);
    ``log.stages(...)`` takes what scikit-learn's boosting gives. Costs are numbers, the less the better; NaN and infinity may be.
    """

    def __init__(self, path=None, *, step="epoch"):
        if not isinstance(step, str) or not step or step in COLUMNS:
            raise ValueError(f"`step` must be a name other than {' and '.join(map(repr, COLUMNS))}, got {step!r}")
        self.path, self.step, self.records = None if path is None else Path(path), step, []
        self._judged = 0, None  # how many records there were, and what they showed
        if self.path is not None:
            if self.path.suffix.lower() not in (".jsonl", ".ndjson"):
                raise ValueError(f"`path` must end in .jsonl or .ndjson, got {os.fspath(path)!r}")
            if self.path.exists():
                self._continue()

    def _continue(self):
        """Take in the steps of a file that is there."""
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        rest, begins = data[whole:], json.dumps({self.step: 0})[:-2].encode()
        for number, line in enumerate(data.splitlines(), 1):
            try:
                self.records.append(self._read(line))
            except (LookupError, TypeError, ValueError, OverflowError, RecursionError) as error:
                if number == data.count(b"\n") + 1 and rest.startswith(begins[: len(rest)]):
                    break  # begun by a recorder that was killed
                what = f"no record of numbers, with a whole number as {self.step!r}"
                raise ValueError(f"{self.path}, line {number}: {what}; give another path") from error
        else:
            if rest:  # whole, but for the end of its line
                with open(self.path, "ab") as file:
                    file.write(b"\n")
            return
        with open(self.path, "r+b") as file:
            file.truncate(whole)

    def _read(self, line):
        """The record of a line; TypeError, ValueError ... if it is none."""
        found = json.loads(line)
        if type(found[self.step]) is not int:
            raise TypeError(found)
        return {name: value if name == self.step else float(value) for name, value in found.items()}

    def record(self, step=None, *, train=None, validation=None, **others):
        """Note the costs of one step, and return the recorder. step: a whole number, by default one more than the last (0 at first); of
        a step that comes again the last counts. others: further numbers, a learning rate, say."""
        given = {"train": train, "validation": validation, **others}
        if step is None:
            step = self.records[-1][self.step] + 1 if self.records else 0
        elif isinstance(step, bool) or not isinstance(step, int | np.integer):
            raise TypeError(f"`step` must be a whole number, got {step!r}")
        if self.step in others:
            raise ValueError(f"{self.step!r} is what steps are counted by: pass it as `step`")
        record = {self.step: int(step)}
        for name, value in given.items():
            if value is not None:
                try:
                    record[name] = float(value)
                except (TypeError, ValueError, OverflowError) as error:
                    raise TypeError(f"`{name}` must be a number, got {value!r}") from error
        if len(record) == 1:
            raise ValueError("there is nothing to record: give `train`, `validation` or another number by name")
        self.records.append(record)
        if self.path is not None:
            line = json.dumps({name: value if math.isfinite(value) else str(value) for name, value in record.items()})
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(line + "\n")
        return self

    @property
    def run(self):
        """What the costs show so far, as ``fastloss.curves`` tells it: verdict, because, best, best_at, gap ...; None without costs."""
        if self._judged[0] != len(self.records):
            named = {name: name for name in COLUMNS if any(name in record for record in self.records)}
            table = {name: [record.get(name) for record in self.records] for name in (self.step, *named)}
            self._judged = len(self.records), fl.curves(table, step=self.step, **named).runs[0] if named else None
        return self._judged[1]

    @property
    def verdict(self):
        """converged, still falling, overfitting, diverging, not finite, flat or short, as `fastloss curves --help` defines them."""
        run = self.run
        return "short" if run is None else run.verdict

    @property
    def best(self):
        run = self.run
        return None if run is None else run.best

    @property
    def best_at(self):
        run = self.run
        return None if run is None or run.best_at is None else int(run.best_at)

    def __len__(self):
        return len(self.records)

    def __repr__(self):
        return f"Recorder({len(self)} step{'s' * (len(self) != 1)}{'' if self.path is None else f', {os.fspath(self.path)!r}'})"

    def __str__(self):
        run = self.run
        return f"{self!r}: no costs yet" if run is None else "\n".join([f"{self!r}: {run.verdict}", *run.because])

    def plot(self, path):
        """Write the curves as a picture, .svg or .png: costs by step, the best one, the verdict. Needs matplotlib."""
        from fastloss.training.pictures import curves

        curves(self, path)

    def lightgbm(self):
        """A callback for lightgbm.train and LGBM*.fit(callbacks=[...]): the first metric of the set named "training" (as LightGBM calls the
        training data among its valid_sets) is the cost of training, the first of the others that of validation."""

        def callback(env):
            costs = {}
            for name, _, value, *rest in env.evaluation_result_list or ():
                if rest and rest[0]:
                    raise ValueError("the metric is better where it is higher, and no cost; record one that is, a loss for instance")
                costs.setdefault("train" if name in ("training", "train") else "validation", value)
            if costs:
                self.record(env.iteration, **costs)

        callback.order = 20  # after evaluation, before early stopping (30), which leaves by an exception
        return callback

    def catboost(self):
        """A callback for CatBoost*.fit(callbacks=[...]): the first metric of "learn", and of the first other set."""
        return _CatBoost(self)

    def stages(self, cost, *, train=None, validation=None):
        """Record a model that was fitted in stages, after the fact; returns the recorder. cost(y, predictions): a configured loss, say;
        train and validation: (y, iterable of predictions), as scikit-learn's boosting gives them:

            log.stages(fl.Logistic(), validation=(y_test, model.staged_decision_function(X_test)))
        """
        given = {name: pair for name, pair in (("train", train), ("validation", validation)) if pair is not None}
        columns = {name: [cost(y, np.ravel(p) if np.ndim(y) == 1 and np.size(p) == np.size(y) else p) for p in stages]
                   for name, (y, stages) in given.items()}  # fmt: skip
        for costs in zip_longest(*columns.values()):
            self.record(**dict(zip(columns, costs, strict=True)))
        return self


class _CatBoost:
    """What CatBoost calls after each tree."""

    def __init__(self, log):
        self.log = log

    def after_iteration(self, info):
        sides = list(info.metrics)
        others = [side for side in sides if side != "learn"]
        costs = {"train": info.metrics.get("learn"), "validation": info.metrics[others[0]] if others else None}
        self.log.record(info.iteration - 1, **{name: next(iter(found.values()))[-1] for name, found in costs.items() if found})
        return True
