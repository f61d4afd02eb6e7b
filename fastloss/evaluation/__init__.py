"""Prediction files -> State: readers, one small interface over them, and the run that feeds them to the engine."""

from fastloss.evaluation.compare import FileComparison, compare_files
from fastloss.evaluation.errors import DataError, MissingLibraryError, SourceError
from fastloss.evaluation.inspect import Inspection, inspect_files
from fastloss.evaluation.merging import merge_states
from fastloss.evaluation.run import Evaluation, evaluate_files
from fastloss.evaluation.suggest import Suggestion, suggest, suggest_files

__all__ = [
    "DataError", "Evaluation", "FileComparison", "Inspection", "MissingLibraryError", "SourceError", "Suggestion", "compare_files",
    "evaluate_files", "inspect_files", "merge_states", "suggest", "suggest_files",
]  # fmt: skip
