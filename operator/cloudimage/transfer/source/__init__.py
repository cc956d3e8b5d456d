"""The first stage of a transfer: bytes from a server, with resume, inside the URL policy."""
