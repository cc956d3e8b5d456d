"""A file behind HTTP or HTTPS URLs: bytes with resume, inside the URL policy, and their proof."""
