"""An emulated AWS of the project's own, and the demo organization: for `make audit`, the tests and the benchmarks."""
