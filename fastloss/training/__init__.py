"""Help for those who train: a recorder of costs, callbacks that fill it, pictures of curves and losses, a check of gradients."""
