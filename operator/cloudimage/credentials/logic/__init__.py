"""Which Secrets an object needs, and what their keys and annotations mean. No I/O."""
