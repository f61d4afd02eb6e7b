"""sklearn.metrics' losses, with our arithmetic. The public import is fastloss.metrics."""
