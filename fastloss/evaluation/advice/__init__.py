"""From what targets and predictions look like to the losses that fit them, and to warnings of those that do not."""

from fastloss.evaluation.advice.facts import facts_of
from fastloss.evaluation.advice.misfits import misfits
from fastloss.evaluation.advice.oddities import oddities
from fastloss.evaluation.advice.recommend import recommend

__all__ = ["facts_of", "misfits", "oddities", "recommend"]
