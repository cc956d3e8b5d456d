"""A disk in an image of a container registry: proved by the digests that lead to it."""
