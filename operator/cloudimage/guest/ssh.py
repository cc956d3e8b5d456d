"""A login by SSH to a server of a boot test, as its user would.

The other side is an image that may be anybody's. What it may cost is bounded in seconds and bytes,
it is known by the key that it reported on its console, and it gets nothing but one signature of a
throw-away key: no agent, no other key, no file of this machine.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TYPE_CHECKING, Any, Final

from cloudimage.access.policy import CloudPolicy
from cloudimage.deadline import bounded
from cloudimage.guest.keys import KeyPair
from cloudimage.plaintext import plain

if TYPE_CHECKING:
    import asyncssh

PORT: Final = 22

_MOST_ADDRESSES: Final = 8
_MOST_OUTPUT: Final = 4096
_WHY_BYTES: Final = 200
_FAMILIES: Final = {False: socket.AF_INET, True: socket.AF_INET6}
# No certificates: the guest says what its keys are, and there is no authority to ask.
_HOST_KEYS: Final = (
    "ssh-ed25519",
    *(f"ecdsa-sha2-nistp{bits}" for bits in (256, 384, 521)),
    *("rsa-sha2-512", "rsa-sha2-256"),
)


class LoginError(Exception):
    """No login was possible; the message says why, for each address.

    Here the server itself is at fault, which has shown its host key, or reported none.
    """


class UnreachedError(LoginError):
    """Nothing answered that is known to be the server: the network may be at fault."""


class BarredError(UnreachedError):
    """The operator's cloudPolicy allows no connection."""


def log_in(  # noqa: PLR0913, PLR0917  # what a login is
    addresses: Sequence[IPv4Address | IPv6Address],
    user: str,
    key: KeyPair,
    host_keys: Collection[str],
    policy: CloudPolicy,
    seconds: float,
    port: int = PORT,
) -> None:
    """Log in at one of the addresses, the first that answers, and have a command say a word.

    The command shows that the user gets a shell: a key for a forced command logs in also.

    Args:
        addresses: The server's; tried in their order.
        user: Who logs in.
        key: With which key.
        host_keys: Fingerprints (``SHA256:...``) of the keys that the server itself reported.
        policy: Where connections may go.
        seconds: That all of it may take.
        port: Where the server listens.

    Raises:
        BarredError: The policy allows it at no address.
        UnreachedError: The server was reached at no address, as far as its host key shows.
        LoginError: It was reached, and does not let the user in.
        DeadlineExceededError: The work within which this is done has no time left.
    """
    if not host_keys:
        raise LoginError("the server reported no SSH host key by which it could be known")
    allowed = [each for each in addresses if policy.allows_address(str(each))][:_MOST_ADDRESSES]
    if not addresses:
        raise UnreachedError("the server has no address")
    if not allowed:
        raise BarredError(
            "the operator's cloudPolicy allows connections to none of the server's addresses"
        )
    login = _Login(user, key, frozenset(host_keys), port)
    ends = time.monotonic() + bounded(seconds)
    failures = []
    for tried, address in enumerate(allowed):
        share = (ends - time.monotonic()) / (len(allowed) - tried)
        failure = asyncio.run(login.attempt(str(address), max(share, 0)))
        if failure is None:
            return
        failures.append(f"{address}: {failure}")
    kind = LoginError if login.reached else UnreachedError
    raise kind("; ".join(failures))


@dataclass
class _Login:
    user: str
    key: KeyPair
    host_keys: frozenset[str]
    port: int
    reached: bool = False
    """Whether one of the host keys was shown: anybody may answer at an address."""

    async def attempt(self, address: str, seconds: float) -> str | None:
        """Return why the login at an address failed, or None."""
        import asyncssh  # noqa: PLC0415  # a third of a second, for the few who log in

        try:
            async with asyncio.timeout(seconds):
                # The socket is made here: nothing resolves or connects but to what was judged.
                with socket.socket(_FAMILIES[":" in address], socket.SOCK_STREAM) as sock:
                    sock.settimeout(0)
                    await asyncio.get_running_loop().sock_connect(sock, (address, self.port))
                    async with asyncssh.connect(sock=sock, **self._options()) as connection:
                        return await self._word(connection)
        except TimeoutError:
            return f"no login within {seconds:.0f} s"
        except asyncssh.HostKeyNotVerifiable:
            return "the SSH server has another host key than the server reported on its console"
        except asyncssh.PermissionDenied as error:
            return f"{self.user} is not let in by the key ({plain(error.reason, _WHY_BYTES)})"
        except OSError as error:
            return os.strerror(error.errno) if error.errno else type(error).__name__
        except asyncssh.Error as error:
            return plain(str(error) or type(error).__name__, _WHY_BYTES)

    def _options(self) -> dict[str, Any]:
        """Return what is used of this machine: nothing; and of SSH: one key, one way to log in."""
        import asyncssh  # noqa: PLC0415 - slow to import

        login = self

        class Known(asyncssh.SSHClient):
            def validate_host_public_key(
                self,
                host: str,  # noqa: ARG002 - asyncssh's own
                addr: str,  # noqa: ARG002 - asyncssh's own
                port: int,  # noqa: ARG002 - asyncssh's own
                key: asyncssh.SSHKey,
            ) -> bool:
                known = key.get_fingerprint("sha256") in login.host_keys
                login.reached = login.reached or known
                return known

        return {
            "client_factory": Known,
            "config": None,
            "known_hosts": lambda *_: ((), (), ()),
            "server_host_key_algs": _HOST_KEYS,
            "x509_trusted_certs": None,
            "username": self.user,
            "client_keys": [asyncssh.import_private_key(self.key.private)],
            "agent_path": None,
            "gss_host": None,
            "preferred_auth": "publickey",
            # A server that lets anybody in proves nothing of the key.
            "disable_trivial_auth": True,
            "compression_algs": None,
        }

    async def _word(self, connection: "asyncssh.SSHClientConnection") -> str | None:
        """Return what is wrong after the login, or None."""
        word = secrets.token_hex(16)
        process = await connection.create_process(f"echo {word}", encoding=None)
        said = b""
        while word.encode() not in said:
            piece = await process.stdout.read(_MOST_OUTPUT - len(said))
            if not piece:
                words = plain(said.decode(errors="replace"), _WHY_BYTES) or "nothing"
                return f"{self.user} is logged in but gets no shell; what was said: {words}"
            said += piece
        return None
