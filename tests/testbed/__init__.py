"""The test bed: a real Kubernetes API, a real OpenStack and an image source, all on loopback.

The tests, the demo and the benchmarks use it through the same classes; ``python -m testbed``
is its command line.
"""
