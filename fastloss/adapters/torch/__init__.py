"""torch: torch.nn.functional's losses, torch.nn's modules, and any loss of fastloss as a module. See fastloss/torch.py."""
