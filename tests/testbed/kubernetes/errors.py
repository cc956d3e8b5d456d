"""What can go wrong in the Kubernetes part, in sentences that say what to do."""


class BinaryError(RuntimeError):
    """A program of the test bed is missing and could not be made."""


class ChecksumError(BinaryError):
    """A download is not what its project published."""


class KubectlError(RuntimeError):
    """kubectl refused; the message is what it printed.

    Attributes:
        stderr: What it printed, alone.
    """

    def __init__(self, command: str, stderr: str) -> None:
        super().__init__(f"{command}: {stderr.strip()}")
        self.stderr = stderr


class UnsupportedError(RuntimeError):
    """This cluster is not ours, so its servers cannot be stopped or started."""
