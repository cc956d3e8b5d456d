"""A file on a file system that the transfer has: of a mounted volume, or of the user's machine."""
