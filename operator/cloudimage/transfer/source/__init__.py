"""The first stage of a transfer: the bytes of a source, and what proves them."""
