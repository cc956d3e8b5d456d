"""The keys and certificates of the control plane, made for one bed and thrown away with it."""

import datetime as dt
import ipaddress
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# A bed lives for hours; a year covers the one that was forgotten.
LIFETIME = dt.timedelta(days=365)
# A clock that is set back a little must not make the certificates invalid.
CLOCK_SKEW = dt.timedelta(hours=1)


def make(folder: Path) -> None:
    """Make the folder with all files, or none: a crash in the middle leaves no half set.

    It gets ``ca.crt``, ``apiserver.{crt,key}``, ``admin.{crt,key}`` and ``service-account.key``.
    The authority's own key is never written: nothing else is to be signed.
    """
    if folder.exists():
        return
    scratch = folder.with_name(f"{folder.name}-{secrets.token_hex(4)}")
    scratch.mkdir(parents=True)
    authority = Authority.new()
    (scratch / "ca.crt").write_bytes(_pem(authority.certificate))
    authority.issue_server(scratch / "apiserver")
    authority.issue_client(scratch / "admin", user="testbed", group="system:masters")
    _write_key(scratch / "service-account.key", ec.generate_private_key(ec.SECP256R1()))
    shutil.move(scratch, folder)


@dataclass(frozen=True)
class Authority:
    """A certificate authority in memory.

    Attributes:
        key: Signs what is issued.
        certificate: What everybody trusts.
    """

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls) -> "Authority":
        """Make an authority with a key of its own."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("testbed-ca")
        usage = _key_usage(signs_certificates=True)
        builder = (
            _builder(name, key.public_key())
            .issuer_name(name)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        return cls(key, builder.sign(key, hashes.SHA256()))

    @property
    def pem(self) -> str:
        """The certificate that everybody trusts, as text."""
        return _pem(self.certificate).decode()

    def issue_server(self, stem: Path) -> None:
        """Write ``<stem>.crt`` and ``.key`` for the API server on loopback."""
        names = x509.SubjectAlternativeName(
            [
                x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                x509.IPAddress(ipaddress.ip_address("10.96.0.1")),  # where pods find it
                x509.DNSName("localhost"),
                x509.DNSName("kubernetes.default.svc"),
            ]
        )
        self._issue(stem, _name("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, names)

    def issue_client(self, stem: Path, user: str, group: str) -> None:
        """Write ``<stem>.crt`` and ``.key`` of a user; Kubernetes reads the group as O."""
        self._issue(stem, _name(user, group), ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def _issue(
        self,
        stem: Path,
        subject: x509.Name,
        purpose: x509.ObjectIdentifier,
        names: x509.SubjectAlternativeName | None,
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(subject, key.public_key())
            .issuer_name(self.certificate.subject)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        )
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        # Python verifies strictly by RFC 5280 from 3.13 on.
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        stem.with_suffix(".crt").write_bytes(_pem(certificate))
        _write_key(stem.with_suffix(".key"), key)


def _name(user: str, group: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    if group:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    return x509.Name(parts)


def _builder(subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    # kube-apiserver derives the public key only from this older format, not from PKCS #8.
    content = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    write_private(path, content)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
