"""Prometheus metrics: of what the operator does, and of its objects."""
