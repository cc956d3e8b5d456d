"""``python -m cloudimage``: the same as the command ``cloudimage``."""

from cloudimage.cli import main

if __name__ == "__main__":
    main()
