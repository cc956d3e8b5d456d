"""Which failures of TLS last until a person changes something, and what to change; pure.

Others, such as a connection that ends in the middle, may pass.
"""

import ssl
from collections.abc import Mapping
from typing import Final

# X509_V_ERR_*: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/#error-codes
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_OTHER_NAME: Final = frozenset({62, 64})

_NO_TLS: Final = (
    "the port does not speak TLS; write http:// or the port that does, in auth.auth_url, or have "
    "the catalogue corrected"
)
_TOO_DIFFERENT: Final = (
    "the server and the operator have no TLS version or cipher in common ({0}); whoever runs the "
    "cloud has to offer TLS 1.2 or later"
)
_LASTING: Final[Mapping[str, str]] = {
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    "UNSUPPORTED_PROTOCOL": _TOO_DIFFERENT,
    "NO_PROTOCOLS_AVAILABLE": _TOO_DIFFERENT,
    "TLSV1_ALERT_PROTOCOL_VERSION": _TOO_DIFFERENT,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _TOO_DIFFERENT,
    "SSL/TLS_ALERT_HANDSHAKE_FAILURE": _TOO_DIFFERENT,
    "DH_KEY_TOO_SMALL": _TOO_DIFFERENT,
    "NO_CIPHERS_AVAILABLE": _TOO_DIFFERENT,
    "TLSV1_UNRECOGNIZED_NAME": "the server has no TLS certificate for that host name; write the "
    "host name that it is known by",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "the server asks for a client certificate, which is not "
    "supported; give another endpoint",
    "NO_CERTIFICATE_OR_CRL_FOUND": "the key cacert of the Secret has no PEM certificate",
}
"""By OpenSSL's names of reasons, some of which differ between its versions."""


def certificate_fault(error: ssl.SSLCertVerificationError) -> str:
    """Return why a server's certificate is not accepted, and what to change."""
    if error.verify_code == _EXPIRED:
        return "its TLS certificate has expired; whoever runs the cloud has to renew it"
    if error.verify_code == _NOT_YET_VALID:
        return "its TLS certificate is not valid yet; look at the clocks of both sides"
    if error.verify_code in _OTHER_NAME:
        return (
            "its TLS certificate is for other host names; write one of those in auth.auth_url, or "
            "have the certificate or the catalogue corrected"
        )
    return (
        f"its TLS certificate is not trusted ({error.verify_message}); put the certificate of the "
        "authority that issued it into the key cacert of the Secret, as PEM"
    )


def lasting_fault(error: ssl.SSLError) -> str | None:
    """Return what has to be changed; None: it may pass without that."""
    known = _LASTING.get(error.reason or "")
    return None if known is None else known.format(error.reason)
