"""Views of clouds: what they have, kept by asking what changed."""
