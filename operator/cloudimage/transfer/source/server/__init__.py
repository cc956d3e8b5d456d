"""A server: Nova makes a snapshot of it."""
