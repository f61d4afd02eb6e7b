"""What was found, in tables: what the command line prints, and what str() of a result is."""

import io


def evaluation_text(evaluation, stream=None):
    """The tables of an Evaluation."""
    from fastloss.reports.answers import answers_text
    from fastloss.reports.table import classes_table, results_table

    per_class = any(result.classes is not None for result in evaluation.results)
    classes = "\n" + classes_table(evaluation, stream) if per_class else ""
    return results_table(evaluation, stream) + classes + answers_text(evaluation, stream)


def text_of(found):
    """The tables, without colours or terminal's signs, of what evaluate_files, compare_files, compare, suggest, suggest_files or curves
    found; TypeError for anything else. ``print(found)`` prints it, too."""
    plain = io.StringIO()  # no terminal
    if hasattr(found, "recommended"):
        from fastloss.reports.suggest import suggestion_text

        return suggestion_text(found)
    if hasattr(found, "runs"):
        from fastloss.reports.curves import curves_text

        return curves_text(found, plain)
    if hasattr(found, "regressions"):
        from fastloss.reports.compare import comparison_text

        return comparison_text(found, plain)
    if hasattr(found, "bytes_read"):
        return evaluation_text(found, plain)
    raise TypeError(f"`found` must be what evaluate_files, compare, suggest or curves returned, got {type(found).__name__}")
