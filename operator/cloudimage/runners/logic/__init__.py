"""What the Job of a transfer looks like, and how its end is read. No I/O."""
