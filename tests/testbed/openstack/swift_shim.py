"""Run a server of Swift: ``swift_shim.py SWIFT_CONF proxy|account|container|obj CONF``.

It runs in the services' venv. Swift's own commands take what all servers share from
``/etc/swift/swift.conf`` alone, and several beds may be on one machine.
"""

import importlib
import sys

from swift.common import utils  # type: ignore[import-not-found]  # in the venv alone

if __name__ == "__main__":
    utils.SWIFT_CONF_FILE, server, sys.argv[1:] = sys.argv[1], sys.argv[2], sys.argv[3:]
    # What they import reads the file.
    sys.exit(importlib.import_module(f"swift.{server}.server").main())
