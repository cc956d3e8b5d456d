"""The last stage of a transfer: bytes and attributes into Glance."""
