"""Prediction files -> State: readers, one small interface over them, and the run that feeds them to the engine."""

from fastloss.evaluation.errors import DataError, MissingLibraryError, SourceError
from fastloss.evaluation.run import Evaluation, evaluate_files
from fastloss.evaluation.suggest import Suggestion, suggest, suggest_files

__all__ = ["DataError", "Evaluation", "MissingLibraryError", "SourceError", "Suggestion", "evaluate_files", "suggest", "suggest_files"]
