"""torch.nn.functional's losses and torch.nn's modules, computed by fastloss on CPUs; and any loss of fastloss as a torch module."""

from fastloss.adapters.torch.bridge import Loss, from_loss
from fastloss.adapters.torch.functional import *  # noqa: F403 - what __all__ of it says
from fastloss.adapters.torch.functional import __all__ as _functions
from fastloss.adapters.torch.modules import *  # noqa: F403
from fastloss.adapters.torch.modules import __all__ as _modules

__all__ = ["Loss", "from_loss", *_functions, *_modules]
