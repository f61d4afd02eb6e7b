"""What `fastloss bench` and benchmarks/ share: how to time, and the least time that reading the inputs could take."""
