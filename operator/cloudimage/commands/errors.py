"""How a command of a user ends when it cannot do its work."""


class CommandError(Exception):
    """What is wrong and what to do, as a sentence for the user; the exit status is 1."""
