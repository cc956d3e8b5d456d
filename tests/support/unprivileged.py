"""Programs without root's own rights, which get past all that keeps a user's processes apart."""

import os


def powerless() -> list[str]:
    """Return the words before a command that take root's rights from it, if we are root."""
    words = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all"]
    return words if os.geteuid() == 0 else []
