"""An AWS of this machine over HTTP: as much of its services as the audit asks, for the demo, tests and benchmarks."""
