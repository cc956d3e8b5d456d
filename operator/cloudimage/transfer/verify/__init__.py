"""What proves the bytes: checksums, checksum files, signatures."""
