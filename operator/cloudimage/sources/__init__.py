"""What a spec says of where an image's bytes come from; one module for each kind of source."""
