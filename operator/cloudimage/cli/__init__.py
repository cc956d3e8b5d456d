"""The command ``cloudimage``: run the operator, move an image by hand, show and change objects."""
