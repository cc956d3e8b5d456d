"""Looks into an image's file systems, read-only, and says what does not belong in a cloud."""
