"""Secrets: read for one cloud or source, and held as long as an object needs them."""
