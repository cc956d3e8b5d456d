"""What a CloudImage wants, what its images are, and what its status says. No I/O."""
