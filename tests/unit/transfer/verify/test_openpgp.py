"""Signatures that count and those that do not, made by gpg and judged by gpgv."""

import base64
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.tools.toolbox import Toolbox
from cloudimage.transfer.verify import openpgp
from cloudimage.transfer.verify.openpgp import _judge, check_file, check_text, signed_text
from support.transfer_keys import Signer

TEXT = b"0123  disk.img\n- dashed\n# comment\n"
LONG_AGO = ("--faked-system-time", "20240101T000000!")


@dataclass
class Signers:
    """The signers of all tests by name, each made when it is first asked for."""

    folder: Path
    made: dict[str, Signer] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Signer:
        """Return a signer; some names have a key with something special."""
        if name not in self.made:
            self.made[name] = Signer.made(
                self.folder / name,
                algorithm="rsa2048" if name == "rsa" else "ed25519",
                expire="30" if name == "expired" else "never",
                options=LONG_AGO if name in {"expired", "old"} else (),
            )
        return self.made[name]


@pytest.fixture(scope="module")
def signers() -> Iterator[Signers]:
    folder = Path(tempfile.mkdtemp(prefix="g-"))
    signers = Signers(folder)
    yield signers
    for each in signers.made.values():
        each.stop()
    shutil.rmtree(folder)


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[Toolbox]:
    yield Toolbox(tmp_path, memory=2 * 2**30, cpu_seconds=60)
    assert [path.name for path in tmp_path.iterdir() if path.name != "source"] == []


@pytest.fixture
def good(signers: Signers) -> Signer:
    return signers["good"]


def refusal(call: Callable[[], object], reason: Reason = Reason.SIGNATURE_INVALID) -> str:
    with pytest.raises(TransferError) as caught:
        call()
    assert caught.value.reason is reason, caught.value
    return caught.value.message


def test_detached(good: Signer, tools: Toolbox) -> None:
    check_text(TEXT, good.detached(TEXT), good.public(), tools)
    check_text(TEXT, good.detached(TEXT, "--armor"), good.public(), tools)


def test_clearsigned(good: Signer, tools: Toolbox) -> None:
    assert signed_text(good.clearsigned(TEXT), good.public(), tools) == TEXT


def test_over_a_file(good: Signer, tools: Toolbox) -> None:
    path = tools.folder / "source"
    path.write_bytes(bytes(3_000_000))
    signature = good.detached(path.read_bytes())
    check_file("source", signature, good.public(), tools)
    path.write_bytes(bytes(3_000_001))
    assert "changed" in refusal(lambda: check_file("source", signature, good.public(), tools))


def test_only_what_is_signed_of_a_clearsigned_text_counts(good: Signer, tools: Toolbox) -> None:
    around = b"evil  disk.img\n" + good.clearsigned(TEXT) + b"evil  disk.img\n"
    assert signed_text(around, good.public(), tools) == TEXT


def test_forged_line_inside_of_the_block(good: Signer, tools: Toolbox) -> None:
    forged = good.clearsigned(TEXT).replace(b"0123", b"evil")
    assert "changed" in refusal(lambda: signed_text(forged, good.public(), tools))


@pytest.mark.parametrize("where", ["header", "before", "after"])
def test_forged_lines_near_the_signed_block(good: Signer, tools: Toolbox, where: str) -> None:
    signed = good.clearsigned(TEXT)
    forged = {
        "header": signed.replace(b"\n\n", b"\nevil  disk.img\n\n", 1),
        "before": signed.replace(b"\n\n", b"\n\nevil  disk.img\n", 1),
        "after": signed.replace(b"-----BEGIN PGP SIGNATURE", b"evil\n-----BEGIN PGP SIGNATURE"),
    }[where]
    assert forged != signed
    refusal(lambda: signed_text(forged, good.public(), tools))


def test_two_signed_blocks(good: Signer, signers: Signers, tools: Toolbox) -> None:
    for other in (good.clearsigned(b"x\n"), signers["foreign"].clearsigned(b"evil\n")):
        for both in (good.clearsigned(TEXT) + other, other + good.clearsigned(TEXT)):
            refusal(lambda text=both: signed_text(text, good.public(), tools))


def test_no_clearsigned_text(good: Signer, tools: Toolbox) -> None:
    inline = good.gpg("--sign", content=TEXT)
    for text in (b"", TEXT, inline, good.detached(TEXT, "--armor"), b"\n".join([TEXT, inline])):
        assert "clearsigned" in refusal(lambda text=text: signed_text(text, good.public(), tools))


@pytest.mark.parametrize("armored", [(), ("--armor",)])
def test_signature_that_brings_its_own_text(
    good: Signer, tools: Toolbox, armored: tuple[str, ...]
) -> None:
    """Which gpgv would call good, only not for the text beside it."""
    inline = good.gpg(*armored, "--sign", content=b"other")
    refusal(lambda: check_text(TEXT, inline, good.public(), tools))
    refusal(lambda: check_text(TEXT, good.clearsigned(b"other"), good.public(), tools))
    refusal(lambda: check_text(TEXT, good.clearsigned(TEXT), good.public(), tools))


def test_changed_text(good: Signer, tools: Toolbox) -> None:
    signature = good.detached(TEXT)
    message = refusal(lambda: check_text(TEXT + b"x", signature, good.public(), tools))
    assert "changed" in message


@pytest.mark.parametrize("signature", [b"", b"no signature", bytes(1000), b"\x88" * 500])
def test_no_signature(good: Signer, tools: Toolbox, signature: bytes) -> None:
    refusal(lambda: check_text(TEXT, signature, good.public(), tools))


def test_public_key_instead_of_a_signature(good: Signer, tools: Toolbox) -> None:
    refusal(lambda: check_text(TEXT, good.public().encode(), good.public(), tools))


def test_foreign_key(good: Signer, signers: Signers, tools: Toolbox) -> None:
    signature = signers["foreign"].detached(TEXT)
    message = refusal(lambda: check_text(TEXT, signature, good.public(), tools))
    assert "not in the keyring" in message


def test_expired_key(signers: Signers, tools: Toolbox) -> None:
    expired = signers["expired"]
    signature = expired.detached(TEXT, *LONG_AGO)
    message = refusal(lambda: check_text(TEXT, signature, expired.public(), tools))
    assert "key" in message
    assert "expired" in message


def test_expired_signature(good: Signer, signers: Signers, tools: Toolbox) -> None:
    old = signers["old"]
    signature = old.detached(TEXT, *LONG_AGO, "--default-sig-expire", "30")
    message = refusal(lambda: check_text(TEXT, signature, old.public(), tools))
    assert "has expired" in message


def test_revoked_key(signers: Signers, tools: Toolbox) -> None:
    revoked = signers["revoked"]
    signature = revoked.detached(TEXT)
    check_text(TEXT, signature, revoked.public(), tools)
    revoked.revoke()
    message = refusal(lambda: check_text(TEXT, signature, revoked.public(), tools))
    assert "revoked" in message


@pytest.mark.parametrize("algorithm", ["MD5", "SHA1", "RIPEMD160"])
def test_weak_hashes(tools: Toolbox, signers: Signers, algorithm: str) -> None:
    rsa = signers["rsa"]  # EdDSA takes strong ones only
    options = ("--digest-algo", algorithm, "--allow-weak-digest-algos")
    check_text(TEXT, rsa.detached(TEXT, "--digest-algo", "SHA256"), rsa.public(), tools)
    refusal(lambda: check_text(TEXT, rsa.detached(TEXT, *options), rsa.public(), tools))
    refusal(lambda: signed_text(rsa.clearsigned(TEXT, *options), rsa.public(), tools))


GOOD = [
    ["NEWSIG"],
    ["GOODSIG", "AA", "somebody"],
    ["VALIDSIG", "AABB", "2026-01-01", "1", "0", "4", "0", "22", "8", "00", "AABB"],
]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [["NODATA", "1"]],
        GOOD[1:],  # of no signature that was begun
        GOOD[:2],
        [GOOD[0], GOOD[2]],
        [*GOOD, ["ERROR", "proc_pkt.plaintext", "89"]],
        [*GOOD, ["NEWSIG"], ["BADSIG", "CC"]],
        [["NEWSIG"], ["BADSIG", "CC"], *GOOD],
        [*GOOD, ["EXPKEYSIG", "AA"]],
        [*GOOD[:2], [*GOOD[2][:8], "2", "00", "AABB"]],
    ],
)
def test_status_lines_that_prove_nothing(lines: list[list[str]]) -> None:
    _judge(GOOD)
    refusal(lambda: _judge(lines))


def test_one_good_signature_of_several_is_enough(
    good: Signer, signers: Signers, tools: Toolbox
) -> None:
    """Debian signs by the keys of several releases; a keyring need not have all."""
    foreign = signers["foreign"].detached(TEXT)
    for both in (foreign + good.detached(TEXT), good.detached(TEXT) + foreign):
        check_text(TEXT, both, good.public(), tools)


def test_one_bad_signature_of_several_is_too_many(
    good: Signer, signers: Signers, tools: Toolbox
) -> None:
    other = signers["foreign"]
    ring = good.public() + other.public()
    check_text(TEXT, good.detached(TEXT) + other.detached(TEXT), ring, tools)
    for both in (
        good.detached(TEXT) + other.detached(b"other"),
        other.detached(b"other") + good.detached(TEXT),
    ):
        assert "changed" in refusal(lambda both=both: check_text(TEXT, both, ring, tools))


def test_keyring_of_many_blocks(good: Signer, signers: Signers, tools: Toolbox) -> None:
    ring = f"Our keys:\n{signers['foreign'].public()}\nand\r\n{good.public()}"
    check_text(TEXT, good.detached(TEXT), ring.replace("\n", "\r\n"), tools)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda _: "", "not an ASCII-armored"),
        (lambda _: "some text", "not an ASCII-armored"),
        (lambda ring: ring[: len(ring) // 2], "no end"),
        (lambda ring: ring.replace("PUBLIC", "PRIVATE"), "private key block"),
        (lambda ring: ring.replace("\n=", "\n=0"), "damaged"),
        (lambda ring: ring.replace("\n\n", "\n\nAAAA", 1), "damaged"),
        (lambda ring: ring.replace("\n\n", "\n"), "empty line"),
        (lambda ring: ring * 5000, "over"),
    ],
)
def test_keyrings_that_are_none(
    good: Signer, tools: Toolbox, spoil: Callable[[str], str], words: str
) -> None:
    ring = spoil(good.public())
    message = refusal(lambda: check_text(TEXT, b"", ring, tools), Reason.INVALID_REQUEST)
    assert words in message


def test_private_key_is_no_keyring(good: Signer, tools: Toolbox) -> None:
    message = refusal(lambda: check_text(TEXT, b"", good.private(), tools), Reason.INVALID_REQUEST)
    assert "private key block" in message


def test_keyring_of_something_else(good: Signer, tools: Toolbox) -> None:
    """Well armored, but no keys: nothing is in the ring, so nothing is good."""
    data = b"these are no keys"
    crc = base64.b64encode(openpgp.crc24(data).to_bytes(3)).decode()
    kind = "PGP PUBLIC KEY BLOCK-----"
    body = base64.b64encode(data).decode()
    ring = f"-----BEGIN {kind}\n\n{body}\n={crc}\n-----END {kind}\n"
    refusal(lambda: check_text(TEXT, good.detached(TEXT), ring, tools))


def test_gpgv_that_is_not_there(
    good: Signer,
    tools: Toolbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    programs = tmp_path_factory.mktemp("bin")
    signature, ring = good.detached(TEXT), good.public()
    monkeypatch.setenv("PATH", str(programs))
    message = refusal(lambda: check_text(TEXT, signature, ring, tools), Reason.INTERNAL_ERROR)
    assert "gpgv" in message


def test_gpgv_gets_no_home_of_the_user(
    good: Signer, signers: Signers, tools: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that only the user's own home knows does not count."""
    monkeypatch.setenv("GNUPGHOME", str(good.home))
    (good.home / "trustedkeys.gpg").write_bytes(good.gpg("--export"))
    other = signers["foreign"].public()
    refusal(lambda: check_text(TEXT, good.detached(TEXT), other, tools))


@given(st.binary(min_size=1))
def test_armor_is_read_back(data: bytes) -> None:
    encoded = base64.encodebytes(data).decode()
    crc = base64.b64encode(openpgp.crc24(data).to_bytes(3)).decode()
    kind = "PGP PUBLIC KEY BLOCK-----"
    block = f"-----BEGIN {kind}\nComment: x\n\n{encoded}={crc}\n-----END {kind}\n"
    assert openpgp.public_keys(block) == data
    assert openpgp.public_keys(block.replace(f"={crc}\n", "")) == data


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            [
                "-----BEGIN PGP PUBLIC KEY BLOCK-----",
                "\n",
                "A",
                "=",
                "-----END PGP PUBLIC KEY BLOCK-----",
                "é",
            ]
        )
    ).map("".join)
)
def test_any_text_is_a_keyring_or_a_value_error(text: str) -> None:
    try:
        assert openpgp.public_keys(text)
    except ValueError as error:
        if str(error) not in {
            "it is not an ASCII-armored OpenPGP public key",
            "an armored block has no end",
            "an armored block has no empty line after its headers",
            "an armored block is empty or damaged",
        } and "where public keys belong" not in str(error):
            raise


def test_crc24_of_the_standard() -> None:
    assert openpgp.crc24(b"") == 0xB704CE
    assert openpgp.crc24(b"123456789") == 0x21CF02
