"""Decisions as pure functions: what is wanted and what was seen in, plans and status out."""
