"""The mover of bytes: fetch, verify, inspect, convert, upload; one process a transfer.

It knows nothing of Kubernetes: a typed request comes in, progress and one outcome go out
(:mod:`cloudimage.transfer.contract`).
"""
