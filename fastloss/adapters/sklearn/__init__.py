"""Losses in the shape of scikit-learn's private interface, and objectives of linear models. The public import is fastloss.sklearn."""
