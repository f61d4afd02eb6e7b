"""torch.nn.functional's losses and torch.nn's modules, computed by fastloss on CPUs; and any loss of fastloss as a torch module.

    import fastloss.torch as ft            instead of      import torch.nn.functional as F
    ft.cross_entropy(logits, labels)                       F.cross_entropy(logits, labels)
    ft.BCEWithLogitsLoss()                                 torch.nn.BCEWithLogitsLoss()
    ft.from_loss(fl.TweedieLoss(power=1.5))                nothing

>>> import torch
>>> logits = torch.tensor([[2.0, 0.5, -1.0], [0.0, 1.0, 3.0]], requires_grad=True)
>>> loss = cross_entropy(logits, torch.tensor([0, 1]), label_smoothing=0.1)
>>> loss.backward()
>>> round(loss.item(), 6), logits.grad.shape
(1.263912, torch.Size([2, 3]))
>>> criterion = CrossEntropyLoss(ignore_index=-1)
>>> torch.equal(criterion(logits, torch.tensor([0, -1])), cross_entropy(logits[:1], torch.tensor([0])))
True
>>> import fastloss
>>> tweedie = from_loss(fastloss.TweedieLoss(power=1.5))
>>> prediction = torch.zeros(4, requires_grad=True)
>>> tweedie(prediction, torch.tensor([0.0, 1.0, 2.0, 4.0]), weight=torch.ones(4)).backward()
>>> prediction.grad
tensor([ 0.2500,  0.0000, -0.2500, -0.7500])

functions   l1_loss mse_loss huber_loss smooth_l1_loss binary_cross_entropy binary_cross_entropy_with_logits soft_margin_loss
            poisson_nll_loss cross_entropy nll_loss kl_div multilabel_soft_margin_loss multi_margin_loss multilabel_margin_loss,
            with torch's arguments, (input, target), and torch's reductions, denominators, dtypes, warnings and kinds of errors
modules     their classes in torch.nn, by the same names and with the same arguments, buffers and state_dict: subclasses of torch's
from_loss   a module of any loss of fastloss: module(input, target, weight=None, reduction=None), see there
not here    cosine_embedding_loss ctc_loss gaussian_nll_loss hinge_embedding_loss margin_ranking_loss triplet_margin_loss
            triplet_margin_with_distance_loss linear_cross_entropy (fl.linear_cross_entropy is another), and their modules: AttributeError

What is computed by torch itself, called from here, at its speed and with its memory:
            * values that fastloss refuses and torch takes: targets outside [0, 1] of binary cross-entropies, other than -1 and 1 of
              soft_margin_loss, or below 0 of poisson_nll_loss and kl_div; negative weights; probabilities within 1e-12 of 0 or 1 in
              binary_cross_entropy, where torch has bounds of its own (in float32 and less, these are common: prefer logits)
            * options: kl_div(reduction="none"), poisson_nll_loss(log_input=False or full=True), a pos_weight of more than one number
            * inputs: of different floating dtypes, of shapes that are broadcast, of integers, of nothing, sparse, of classes derived from
              Tensor; whatever is under autocast, torch.func's transforms or forward-mode differentiation
            * derivatives: those of gradients (create_graph=True), and those by targets, except of l1_loss, mse_loss, huber_loss and
              smooth_l1_loss, where they are the input's negated; by weights

memory      without gradients nothing of the data's size is made; with them, one array: the gradient, made with the loss in one pass,
            multiplied by what comes from above in its own memory when it is asked for, and then the caller's (float16's is kept as float32,
            so that a loss scaler finds it unrounded). Inputs of any strides are taken as they are
accuracy    sums are exact before they are rounded to the result's dtype; bfloat16 and float16 compute in float32. Differences from torch
            are those of rounding, and in float32 and less to the better: torch's bits are not promised
threads     fastloss's own, as many as pay: fl.set_num_threads(n), FASTLOSS_NUM_THREADS and OMP_NUM_THREADS count, torch.set_num_threads
            does not. They sleep or leave while torch computes; results do not depend on their number
compile     under torch.compile a call is one operator, fastloss::loss, and no break of the graph
devices     a tensor that is not on the CPU is a RuntimeError

Needs torch 2.6 or later: pip install "fastloss[torch]"
"""

try:
    import torch as _torch
except ImportError as _error:
    raise ImportError('fastloss.torch needs torch 2.6 or later: pip install "fastloss[torch]"') from _error

if tuple(map(int, _torch.__version__.split(".")[:2])) < (2, 6):
    raise ImportError(f'fastloss.torch needs torch 2.6 or later, and found {_torch.__version__}: pip install -U "fastloss[torch]"')

from fastloss.adapters.absent import absent as _absent  # noqa: E402
from fastloss.adapters.torch.bridge import Loss, from_loss  # noqa: E402
from fastloss.adapters.torch.functional import *  # noqa: E402, F403 - what __all__ of it says
from fastloss.adapters.torch.functional import __all__ as _functions  # noqa: E402
from fastloss.adapters.torch.modules import *  # noqa: E402, F403
from fastloss.adapters.torch.modules import __all__ as _modules  # noqa: E402

__all__ = ["Loss", "from_loss", *_functions, *_modules]
ABSENT = (
    "cosine_embedding_loss", "ctc_loss", "gaussian_nll_loss", "hinge_embedding_loss", "margin_ranking_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss", "linear_cross_entropy", "CosineEmbeddingLoss", "CTCLoss", "GaussianNLLLoss", "HingeEmbeddingLoss",
    "MarginRankingLoss", "TripletMarginLoss", "TripletMarginWithDistanceLoss", "AdaptiveLogSoftmaxWithLoss", "LinearCrossEntropyLoss",
)  # fmt: skip


def __getattr__(name):
    if name in ABSENT:
        where = "torch.nn" if name[0].isupper() else "torch.nn.functional"
        raise AttributeError(f"fastloss has no kernel of {name}: use {where}.{name}")
    return _missing(name)


_missing = _absent(__name__, __all__, "it has losses of torch.nn and torch.nn.functional (see dir()), and from_loss for those of fastloss")
