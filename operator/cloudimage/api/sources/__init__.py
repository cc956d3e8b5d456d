"""The kinds of sources that a spec can have, a module each."""
