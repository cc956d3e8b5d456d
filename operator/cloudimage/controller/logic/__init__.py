"""Decisions that all kinds share: conditions, Events, pauses, whose turn it is. No I/O."""
