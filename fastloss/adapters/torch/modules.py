"""The modules of torch.nn, of which only forward is another: their arguments, buffers, state_dict and repr are torch's own."""

import torch

from fastloss.adapters.torch import functional

MODULES = {  # torch's class: the function, and which attributes it is given
    "L1Loss": ("l1_loss", ()),
    "MSELoss": ("mse_loss", ()),
    "HuberLoss": ("huber_loss", ("delta",)),
    "SmoothL1Loss": ("smooth_l1_loss", ("beta",)),
    "BCELoss": ("binary_cross_entropy", ("weight",)),
    "BCEWithLogitsLoss": ("binary_cross_entropy_with_logits", ("weight", "pos_weight")),
    "CrossEntropyLoss": ("cross_entropy", ("weight", "ignore_index", "label_smoothing")),
    "NLLLoss": ("nll_loss", ("weight", "ignore_index")),
    "KLDivLoss": ("kl_div", ("log_target",)),
    "PoissonNLLLoss": ("poisson_nll_loss", ("log_input", "full", "eps")),
    "SoftMarginLoss": ("soft_margin_loss", ()),
    "MultiLabelSoftMarginLoss": ("multilabel_soft_margin_loss", ("weight",)),
    "MultiMarginLoss": ("multi_margin_loss", ("p", "margin", "weight")),
    "MultiLabelMarginLoss": ("multilabel_margin_loss", ()),
}


def _module(name, function, attributes):
    function, base = getattr(functional, function), getattr(torch.nn, name)

    def forward(self, input, target):
        return function(input, target, reduction=self.reduction, **{name: getattr(self, name) for name in attributes})

    doc = f"torch.nn.{name}, computed by fastloss.torch.{function.__name__}. Arguments, buffers and state_dict are torch's."
    return type(name, (base,), {"forward": forward, "__doc__": doc, "__module__": "fastloss.torch"})


globals().update({name: _module(name, *facts) for name, facts in MODULES.items()})
__all__ = list(MODULES)
