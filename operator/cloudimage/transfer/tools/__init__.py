"""Programs that parse strangers' bytes, started with nothing that they could take."""
