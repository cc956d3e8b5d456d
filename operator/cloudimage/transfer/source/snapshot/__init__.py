"""Images that the source's cloud makes for a transfer, of a server or a volume, and their end."""
