"""Small prediction files to try the command line on; ``python -m fastloss.samples.make`` writes them anew.

breast_cancer.csv, breast_cancer.parquet   569 rows: y 0 or 1 (1 is benign, as in scikit-learn), p the probability of 1, z its logit,
                                           fold, and diagnosis, y in words
iris.csv                                   150 rows: y 0, 1 or 2, species, y in words, logit_setosa, logit_versicolor and
                                           logit_virginica, the three's logits, fold
diabetes.csv                               442 rows: y the progression of the disease, p the prediction, fold
boosting.csv                               120 rows, a log: tree, train_mse and val_mse, the costs after each tree of a boosted model

Every prediction is of a model that has not seen its row (10-fold cross-validation); both data sets come with scikit-learn.
"""
