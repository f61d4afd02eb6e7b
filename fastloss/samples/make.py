"""Write the sample predictions: ``python -m fastloss.samples.make [FOLDER]``, by default over those beside this file.

Needs scikit-learn and polars. The models are solved to the last digits that are written, so that every machine writes the same CSV.
"""

import sys
from pathlib import Path

import numpy as np

FOLDS, SEED, DIGITS, TREES = 10, 0, 9, 120


def rounded(values):
    """Doubles rounded to DIGITS significant digits: short in CSV, and the same numbers in Parquet."""
    return np.array([float(f"{value:.{DIGITS}g}") for value in values])


def cross_validated(model, x, y, splits, method):
    """(out-of-fold predictions, fold of each row)"""
    predicted, folds = [None] * len(y), np.empty(len(y), np.int8)
    for fold, (seen, unseen) in enumerate(splits.split(x, y)):
        for row, prediction in zip(unseen, getattr(model.fit(x[seen], y[seen]), method)(x[unseen]), strict=True):
            predicted[row] = prediction
        folds[unseen] = fold
    return np.array(predicted), folds


def breast_cancer(model=None):
    """Columns of a logistic regression's (or another model's) predictions of 569 diagnoses."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_breast_cancer()
    model = make_pipeline(StandardScaler(), model or LogisticRegression(solver="newton-cholesky", tol=1e-12))
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    z, fold = cross_validated(model, data.data, data.target, splits, "decision_function")
    words = [str(data.target_names[y]) for y in data.target]
    return {"y": data.target.astype(np.int8), "p": rounded(1.0 / (1.0 + np.exp(-z))), "z": rounded(z), "fold": fold, "diagnosis": words}


def discriminant():
    """Of another model of the same diagnoses what is not in breast_cancer.csv."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return {"p": breast_cancer(LinearDiscriminantAnalysis())["p"]}


def iris():
    """Columns of a multinomial logistic regression's logits of 150 flowers."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_iris()
    model = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky", tol=1e-12))
    splits = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    z, fold = cross_validated(model, data.data, data.target, splits, "decision_function")
    logits = {f"logit_{name}": rounded(column) for name, column in zip(map(str, data.target_names), z.T, strict=True)}
    return {"y": data.target.astype(np.int8), "species": [str(data.target_names[y]) for y in data.target], **logits, "fold": fold}


def diabetes():
    """Columns of a ridge regression's predictions of 442 patients."""
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = load_diabetes()
    model = make_pipeline(StandardScaler(), Ridge(solver="cholesky"))
    splits = KFold(FOLDS, shuffle=True, random_state=SEED)
    p, fold = cross_validated(model, data.data, data.target, splits, "predict")
    return {"y": data.target.astype(np.float64), "p": rounded(p), "fold": fold}


def boosting():
    """Columns of costs after each tree of gradient boosting on the patients: of three in four, and of the others."""
    from sklearn.datasets import load_diabetes
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.model_selection import train_test_split

    data = load_diabetes()
    seen, unseen, y_seen, y_unseen = train_test_split(data.data, data.target, random_state=SEED)
    model = GradientBoostingRegressor(n_estimators=TREES, random_state=SEED).fit(seen, y_seen)
    costs = {name: [float(f"{np.mean((p - y) ** 2):.6g}") for p in model.staged_predict(x)]
             for name, x, y in (("train_mse", seen, y_seen), ("val_mse", unseen, y_unseen))}  # fmt: skip
    return {"tree": range(1, TREES + 1), **costs}


def main(folder=None):
    import polars as pl

    folder = Path(folder or Path(__file__).parent)
    cancer = pl.DataFrame(breast_cancer())
    cancer.write_csv(folder / "breast_cancer.csv")
    cancer.write_parquet(folder / "breast_cancer.parquet")
    pl.DataFrame(discriminant()).write_csv(folder / "breast_cancer_lda.csv")
    pl.DataFrame(iris()).write_csv(folder / "iris.csv")
    pl.DataFrame(diabetes()).write_csv(folder / "diabetes.csv")
    pl.DataFrame(boosting()).write_csv(folder / "boosting.csv")


if __name__ == "__main__":
    main(*sys.argv[1:])
