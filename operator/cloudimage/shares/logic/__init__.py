"""Who is to be a member of an image, and what the status of an ImageShare says. No I/O."""
