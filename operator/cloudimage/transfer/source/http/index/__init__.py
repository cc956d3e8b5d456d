"""Finds a publisher's newest build: what is listed, which of it is meant, and which is newest."""
