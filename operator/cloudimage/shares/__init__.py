"""ImageShare: its reconciler, and the members of images."""
