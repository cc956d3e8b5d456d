"""The command ``cloudimage``, and ``python -m cloudimage``."""

from cloudimage.transfer.prctl import hide_memory


def main() -> None:
    """Run the command line, with its memory hidden before anything of weight is imported."""
    hide_memory()
    from cloudimage.cli import app  # noqa: PLC0415

    app()


if __name__ == "__main__":
    main()
