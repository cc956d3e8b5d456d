"""An object of a Swift container: read over HTTP by a token of its cloud, segments included."""
