"""fastloss: losses, their exact sums, gradients and Hessians, fused in one pass.

    fl.log_loss(y_true, y_pred)                    the cost, a float; every loss of `fastloss losses` is a function like this
    h = fl.Huber(delta=1.5)                        a configured loss
    h(y, p, sample_weight=w)                       sum(w * loss) / sum(w), correctly rounded
    h.loss(y, p)  h.gradient(y, p)                 per sample; also loss_gradient, gradient_hessian, loss_gradient_hessian
    h.cost_gradient(y, p)                          the cost and its gradient, what an optimiser wants
    @fl.loss                                       a loss of your own, at full speed: a class of formulas, or a function
    fl.evaluate(["mse", "huber:delta=2"], y, p)    many losses, one pass over the data
    s = fl.State(h); s.update(y, p); s.merge(t)    streaming; s.compute()
    fl.Analysis(s, spread=True, worst=10)          beside a State: segments, quantiles, worst samples, bootstrap
    fl.evaluate_files("p.parquet", losses=[...])   prediction files of any size; report=True, .write_html("report.html")
    fl.suggest(y, p)  fl.suggest_files("p.csv")    which losses fit, which do not, and why
    fl.curves("log.csv")                           costs by epoch: converged, diverging, overfitting, best epoch
    fl.Recorder("run.jsonl")                       costs of training as they come, what they show; fl.check_gradient, fl.plot_loss
    fl.merge_states("shard*.fls")                  what shards of them saved, as one
    fl.compare_files("a.parquet", "b.csv", [...])  is B better than A? fl.compare(losses, y, p_a, p_b) of arrays; fl.write_html(found, path)
    fl.set_num_threads(1)                          threads of calls that do not say n_threads; threadpoolctl is honoured, too

Everything is looked up on first use, so that importing this costs nothing, not even NumPy.
"""

import importlib

from fastloss.engine import threadpools

# name: the module it comes from
_FACE = {
    "Loss": "fastloss.engine.configured",
    "get": "fastloss.engine.specs",
    "loss": "fastloss.engine.own",
    "FormulaError": "fastloss.engine.own",
    **dict.fromkeys(
        ("Parameter", "Switch", "Interval", "Integers", "Either", "REAL", "NONNEGATIVE", "POSITIVE", "UNIT", "ZERO_ONE", "SIGN"),
        "fastloss.losses.spec",
    ),
    "Composite": "fastloss.engine.composite",
    **dict.fromkeys(("Penalty", "L1", "L2", "ElasticNet", "GroupLasso"), "fastloss.engine.penalties"),
    "RowLoss": "fastloss.engine.rowlosses",
    "encode_labels": "fastloss.engine.rowlosses",
    "LinearCrossEntropy": "fastloss.engine.linear",
    "linear_cross_entropy": "fastloss.engine.linear",
    "softmax": "fastloss.engine.rowfunctions",
    "log_softmax": "fastloss.engine.rowfunctions",
    "logsumexp": "fastloss.engine.rowfunctions",
    "Calibration": "fastloss.engine.calibration",
    "calibration_error": "fastloss.engine.calibration",
    "TopKDistillation": "fastloss.engine.topk",
    "topk_distillation": "fastloss.engine.topk",
    "State": "fastloss.engine.state",
    "evaluate": "fastloss.engine.state",
    "Analysis": "fastloss.engine.analysis",
    "Paired": "fastloss.engine.paired",
    "compare": "fastloss.engine.paired",
    "Comparison": "fastloss.engine.compared",
    "InputError": "fastloss.engine.errors",
    "SettingError": "fastloss.engine.errors",
    "info": "fastloss.engine.backends",
    "get_include": "fastloss.engine.backends",
    "set_num_threads": "fastloss.engine.threads",
    "get_num_threads": "fastloss.engine.threads",
    "Profile": "fastloss.engine.profile",
    "RowProfile": "fastloss.engine.rowprofile",
    "evaluate_files": "fastloss.evaluation",
    "compare_files": "fastloss.evaluation",
    "inspect_files": "fastloss.evaluation",
    "suggest": "fastloss.evaluation",
    "suggest_files": "fastloss.evaluation",
    "curves": "fastloss.evaluation.curves",
    "merge_states": "fastloss.evaluation",
    "Recorder": "fastloss.training.recorder",
    "check_gradient": "fastloss.training.check",
    "plot_loss": "fastloss.training.pictures",
    "DataError": "fastloss.evaluation",
    "SourceError": "fastloss.evaluation",
    "write_html": "fastloss.reports.html",
    "text_of": "fastloss.reports.text",
}

threadpools.announce()


def __getattr__(name):
    if name in _FACE:
        value = getattr(importlib.import_module(_FACE[name]), name)
    elif name == "__version__":
        from importlib.metadata import version

        value = version("fastloss")
    elif name.startswith("_"):
        raise AttributeError(f"module 'fastloss' has no attribute {name!r}")
    else:
        value = _loss(name)
    globals()[name] = value
    return value


def _loss(name):
    """The class (Huber) or function (huber, or an alias of it) of a loss."""
    from fastloss.losses import ALIASES, definitions, find

    classes = {definition.class_name: definition for definition in definitions()}
    if name not in classes and name not in ALIASES:
        raise AttributeError(f"module 'fastloss' has no attribute {name!r}{_near(name, [*_FACE, *classes, *ALIASES])}")
    if name in classes:
        from fastloss.engine.specs import class_of

        return class_of(classes[name])
    from fastloss.engine.costfunctions import function_of

    return function_of(find(name))


def _near(name, names):
    """A hint at what was meant, whatever the case of its letters."""
    from difflib import get_close_matches

    small = {one.lower(): one for one in (names if name.islower() else reversed(names))}  # Huber for Hubr, huber for hubr
    near = get_close_matches(name.lower(), small, n=3)
    return f"; did you mean {' or '.join(small[one] for one in near)}?" if near else ""


def __dir__():
    from fastloss.losses import ALIASES, definitions

    classes = {definition.class_name for definition in definitions()}
    return sorted({*_FACE, *ALIASES, *classes, "__doc__", "__version__"})
