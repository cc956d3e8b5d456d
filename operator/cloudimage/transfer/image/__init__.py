"""Disk formats: told by their bytes, inspected, unpacked, converted."""
