"""Where transfers run: as children of the operator, or as Jobs."""
