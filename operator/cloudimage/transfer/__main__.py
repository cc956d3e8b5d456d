"""``python -m cloudimage.transfer``: a transfer as a process, see :mod:`.worker`."""

import sys

from cloudimage.transfer.prctl import hide_memory

if __name__ == "__main__":
    hide_memory()
    from cloudimage.transfer.worker import main

    sys.exit(main())
