"""CloudImage: its reconciler, and each thing that it does to images in Glance."""
