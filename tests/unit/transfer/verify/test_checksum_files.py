"""Files of checksums in the forms of real publishers, and everything else that could be one."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudimage.transfer.contract import Checksum, Reason, TransferError
from cloudimage.transfer.verify import checksum_files, checksum_lines
from support.checksum_lists import (
    BLAKE2B,
    MD5,
    NAME,
    OTHER,
    SHA1,
    SHA256,
    SHA512,
    choose,
    digest,
    refusal,
)

FEDORA = f"""-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

# {NAME}: 500170752 bytes
SHA256 ({NAME}) = {SHA256}
# other.qcow2: 1 bytes
SHA256 (other.qcow2) = {OTHER}
-----BEGIN PGP SIGNATURE-----

iQIzBAEBCAAdFiEEzVqmpW9vCFBlQWgf3EGz5sRrU6oFAmYbzVkACgkQ3EGz5sRr
=abcd
-----END PGP SIGNATURE-----
"""
FLATCAR = f"""# MD5 HASH
{MD5}  {NAME}
# SHA1 HASH
{SHA1}  {NAME}
# SHA512 HASH
{SHA512}  {NAME}
"""
GENTOO = f"""# SHA512 HASH
{SHA512}  {NAME}
# BLAKE2B HASH
{BLAKE2B}  {NAME}
# WHIRLPOOL HASH
{digest("sha512", "whirlpool")}  {NAME}
"""
UBUNTU = f"{OTHER} *{NAME}.manifest\n{SHA256} *{NAME}\n{OTHER} *{NAME}.tar.gz\n"
ROCKY = f"# {NAME}: 1027604480 bytes\nSHA256 ({NAME}) = {SHA256}\n"

FORMS = [
    pytest.param(f"{SHA256}  {NAME}\n", "sha256", SHA256, id="GNU text"),
    pytest.param(f"{SHA256} *{NAME}\n", "sha256", SHA256, id="GNU binary"),
    pytest.param(f"{SHA256} {NAME}\n", "sha256", SHA256, id="one space"),
    pytest.param(f"{SHA256}\t{NAME}\n", "sha256", SHA256, id="tab"),
    pytest.param(f"{SHA256}  {NAME}", "sha256", SHA256, id="no newline at the end"),
    pytest.param(f"{SHA256}  {NAME}\r\n", "sha256", SHA256, id="CRLF"),
    pytest.param(f"\ufeff{SHA256}  {NAME}\n", "sha256", SHA256, id="byte order mark"),
    pytest.param(f"{SHA256.upper()}  {NAME}\n", "sha256", SHA256, id="upper case"),
    pytest.param(f"{SHA256}  ./{NAME}\n", "sha256", SHA256, id="./"),
    pytest.param(f"SHA512 ({NAME}) = {SHA512}\n", "sha512", SHA512, id="BSD"),
    pytest.param(f"SHA2-256({NAME})= {SHA256}\n", "sha256", SHA256, id="OpenSSL"),
    pytest.param(f"BLAKE2b ({NAME}) = {BLAKE2B}\n", "blake2b", BLAKE2B, id="b2sum --tag"),
    pytest.param(f"{SHA256}\n", "sha256", SHA256, id="bare"),
    pytest.param(f"{SHA512}", "sha512", SHA512, id="bare sha512"),
    pytest.param(f"{SHA1}\n", "sha1", SHA1, id="bare sha1"),
    pytest.param(f"{MD5} \n", "md5", MD5, id="bare md5"),
    pytest.param(UBUNTU, "sha256", SHA256, id="Ubuntu SHA256SUMS"),
    pytest.param(ROCKY, "sha256", SHA256, id="Rocky CHECKSUM"),
    pytest.param(FEDORA, "sha256", SHA256, id="Fedora CHECKSUM"),
    pytest.param(FEDORA.replace("\n", "\r\n"), "sha256", SHA256, id="Fedora with CRLF"),
    pytest.param(FEDORA.replace("Hash: SHA256\n", ""), "sha256", SHA256, id="no armor headers"),
    pytest.param(FLATCAR, "sha512", SHA512, id="Flatcar DIGESTS"),
    pytest.param(GENTOO, "sha512", SHA512, id="Gentoo DIGESTS"),
    pytest.param(f"{SHA256}  {NAME}\n" * 2, "sha256", SHA256, id="twice the same"),
    pytest.param(f"{SHA256}\n{MD5}  {NAME}\n", "md5", MD5, id="bare among named does not count"),
]


@pytest.mark.parametrize(("text", "algorithm", "value"), FORMS)
def test_forms(text: str, algorithm: str, value: str) -> None:
    assert choose(text) == Checksum.model_validate({"algorithm": algorithm, "value": value})


@pytest.mark.parametrize(
    ("algorithms", "winner"),
    [
        (("md5", "sha512", "blake2b", "sha256"), "sha512"),
        (("sha256", "blake2b"), "blake2b"),
        (("md5", "sha1", "sha256"), "sha256"),
        (("md5", "sha1"), "sha1"),
    ],
)
def test_the_strongest_wins(algorithms: tuple[str, ...], winner: str) -> None:
    text = "".join(f"{each.upper()} ({NAME}) = {digest(each)}\n" for each in algorithms)
    assert choose(text).algorithm == winner


@pytest.mark.parametrize("sums_name", ["B2SUMS", "b2sums.txt", "x.qcow2.b2sum", "blake2b.sum"])
def test_the_name_of_the_file_says_blake2b(sums_name: str) -> None:
    expected = "blake2b" if "b2sum" in sums_name.lower() or "blake" in sums_name else "sha512"
    assert choose(f"{BLAKE2B}  {NAME}\n", sums_name=sums_name).algorithm == expected


def test_a_section_is_stronger_than_the_name_of_the_file() -> None:
    text = f"# SHA512 HASH\n{SHA512}  {NAME}\n"
    assert choose(text, sums_name="B2SUMS").algorithm == "sha512"


@pytest.mark.parametrize(
    "name", ["with space.img", "back\\slash", "new\nline", "carriage\rreturn", "a)=(b", "*star"]
)
@pytest.mark.parametrize("form", ["gnu", "bsd"])
def test_odd_names_as_coreutils_writes_them(name: str, form: str) -> None:
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "\\" if escaped != name else ""
    gnu, bsd = f"{mark}{SHA256}  {escaped}\n", f"{mark}SHA256 ({escaped}) = {SHA256}\n"
    assert choose(gnu if form == "gnu" else bsd, name).value == SHA256


NEAR = [
    f"{NAME}.sig",
    f"x{NAME}",
    NAME[:-1],
    NAME.upper(),
    f"images/{NAME}",
    f"../{NAME}",
    f"/{NAME}",
    f".{NAME}",
    NAME.replace("-", "_"),
    NAME.replace("e", "\N{CYRILLIC SMALL LETTER IE}") + "\N{CYRILLIC SMALL LETTER IE}",
]


@pytest.mark.parametrize("near", NEAR)
@pytest.mark.parametrize(
    "form", ["{value}  {name}", "{value} *{name}", "SHA256 ({name}) = {value}"]
)
def test_near_misses(near: str, form: str) -> None:
    message = refusal(form.format(value=SHA256, name=near))
    assert f'no checksum of "{NAME}", but of "' in message
    assert "checksum.from.filename" in message


def test_near_names_are_told() -> None:
    text = "".join(f"{OTHER}  other-{number}.iso\n" for number in range(100))
    message = refusal(f"{text}{SHA256}  disk-1.3.x86_64.qcow2\n")
    assert 'but of "disk-1.3.x86_64.qcow2"' in message
    assert "other-50" not in message


def test_name_with_folder_is_found_as_such() -> None:
    text = f"{OTHER}  a/{NAME}\n{SHA256}  ./b/{NAME}\n"
    assert choose(text, f"b/{NAME}").value == SHA256
    refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        f"{SHA256}  {NAME}\n{OTHER}  {NAME}\n",
        f"{SHA256}  {NAME}\n{OTHER} *./{NAME}\n",
        f"{SHA256}  {NAME}\nSHA256 ({NAME}) = {OTHER}\n",
        f"{SHA256}\n{OTHER}\n",
        # A weaker one that is in doubt puts the whole file in doubt.
        f"{SHA512}  {NAME}\n{SHA256}  {NAME}\n{OTHER}  {NAME}\n",
    ],
)
def test_contradictions(text: str) -> None:
    assert "two different sha256" in refusal(text)


ALONE = [
    f"\n{SHA256}\n\n",
    f"{SHA256}\r\n",
    f"{SHA256}\n{SHA256}\n",
    FEDORA.replace(
        FEDORA[FEDORA.index("# ") : FEDORA.index("-----BEGIN PGP SIGNATURE")], f"{SHA256}\n"
    ),
]


@pytest.mark.parametrize("text", ALONE)
def test_a_hash_that_is_all_there_is_needs_no_name(text: str) -> None:
    assert choose(text).value == SHA256


AMONG_OTHERS = [
    f"other.img\n{SHA256}\n",
    f"{SHA256}\nother.img\n",
    f"other.img:\n\n{SHA256}\n",
    f"Release 7\n\nBuilt from the commit\n{SHA1}\n",
    f"# other.img\n{SHA256}\n",
    f"#{SHA256}\n{SHA256}\n",
    f"# SHA256 HASH\n{SHA256}\n",
    f"; other.img\n{SHA256}\n",
    f"SHA256:\n{SHA256}\n",
    f"  {OTHER}  other.img\n{SHA256}\n",
    f"SHA384 (other.img) = {digest('sha384')}\n{SHA256}\n",
    f"{digest('sha384')}  other.img\n{SHA256}\n",
    f"{SHA256}\n{SHA1}\n",
    f"{SHA1}\n{SHA256}\n",
    f"{SHA256}\n{digest('sha224')}\n",
]
"""A hash without a name, of which something else says what it is of, or may."""


@pytest.mark.parametrize("text", AMONG_OTHERS)
@pytest.mark.parametrize("signed", [False, True])
def test_a_hash_without_a_name_among_other_text_counts_for_nothing(text: str, signed: bool) -> None:
    begin = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
    end = "-----BEGIN PGP SIGNATURE-----\n\niQIz\n-----END PGP SIGNATURE-----\n"
    assert "name" in refusal(begin + text + end if signed else text)


def test_names_of_no_encoding_are_not_the_same() -> None:
    """Replaced by the same character, two names would be one."""
    content = f"{OTHER}  disk".encode() + b"\xfe.img\n"
    with pytest.raises(TransferError):
        checksum_files.choose(content, "disk\ufffd.img", "SHA256SUMS")
    with pytest.raises(TransferError):
        checksum_files.choose(content, "disk\udcff.img", "SHA256SUMS")
    assert checksum_files.choose(content, "disk\udcfe.img", "SHA256SUMS").value == OTHER


def test_name_of_the_list_in_messages_is_printable() -> None:
    message = refusal("x", sums_name="a\x1b[31m\udcff")
    assert message.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "nothing",
        "<html>404</html>",
        f"{SHA256[:-1]}  {NAME}\n",
        f"{SHA256}0  {NAME}\n",
        f"{SHA256[:-1]}g  {NAME}\n",
        f"# {SHA256}  {NAME}\n",
        f"SHA512 ({NAME}) = {SHA256}\n",
        f"SHA384 ({NAME}) = {digest('sha384')}\n",
        f"{digest('sha384')}  {NAME}\n",
        f"# WHIRLPOOL HASH\n{SHA512}  {NAME}\n",
        f"# SHA256 HASH\n{SHA512}  {NAME}\n",
        f"  {SHA256}  {NAME}\n",
        f"SHA256 ({NAME}) = {SHA256} {OTHER}\n",
    ],
)
def test_no_checksum_at_all(text: str) -> None:
    assert "no checksum in a known format" in refusal(text)


def test_text_outside_of_the_signed_block_does_not_count() -> None:
    forged = FEDORA.replace(SHA256, OTHER)
    line = f"SHA256 ({NAME}) = {SHA256}\n"
    assert choose(line + forged + line).value == OTHER
    refusal(line + FEDORA.replace(NAME, "x"))


def test_escaped_dashes_of_the_signed_block() -> None:
    text = FEDORA.replace(f"SHA256 ({NAME})", f"- SHA256 ({NAME})")
    assert choose(text).value == SHA256


@pytest.mark.parametrize("blanks", ["   ", "    ", " \t", "  \t"])
@pytest.mark.parametrize("end", ["", " ", "  ", "\t", " \r"])
def test_blanks_around_a_name(blanks: str, end: str) -> None:
    assert choose(f"{OTHER}  other.img\n{SHA256}{blanks}{NAME}{end}\n").value == SHA256


def test_a_name_that_has_the_blanks_comes_first() -> None:
    text = f"{OTHER}   {NAME}\n{SHA256}  {NAME}\n{MD5}  {NAME} \n"
    assert choose(text).value == SHA256
    assert choose(text, f" {NAME}").value == OTHER
    assert choose(text, f"{NAME} ").value == MD5


def test_blanks_are_seen_in_messages() -> None:
    assert '"disk.img "' in refusal(f"{SHA256}  {NAME}\n", "disk.img ")


BUILD = "disk-1.2-20261129.x86_64.qcow2"


def test_the_only_name_beside_a_link_is_the_builds() -> None:
    text = f"# {BUILD}\n{SHA256}  {BUILD}\nSHA512 ({BUILD}) = {SHA512}\n"
    assert checksum_files.choose(text.encode(), NAME, "x", beside=True).algorithm == "sha512"
    refusal(text)
    with pytest.raises(TransferError):
        checksum_files.choose(f"{text}{OTHER}  other\n".encode(), NAME, "x", beside=True)


def test_limits() -> None:
    line = f"{SHA256}  {NAME}\n"
    assert choose(line + "\n" * (checksum_files.MAX_BYTES - len(line))).value == SHA256
    assert "over 1.0 MiB" in refusal(line + "\n" * (checksum_files.MAX_BYTES - len(line) + 1))
    assert "line" in refusal(line + "x" * (checksum_files.MAX_LINE + 1))


def test_many_long_names_are_not_compared_for_ever() -> None:
    name = "abcdefgh" * 20
    text = f"{SHA256}  {name}x\n"
    assert len(refusal(text * (checksum_files.MAX_BYTES // len(text)), name)) < 600


def test_names_in_messages_are_printable_and_short() -> None:
    message = refusal(f"{SHA256}  a\x1b[31m{'b' * 150}\n")
    assert message.isprintable()
    assert len(message) < 400


def test_bytes_of_no_encoding() -> None:
    refusal(b"\xff\xfe\x00" * 1000)
    content = f"{OTHER}  ".encode() + b"\xe9.img\n" + f"{SHA256}  {NAME}\n".encode()
    assert checksum_files.choose(content, NAME, "x").value == SHA256


@given(st.binary(max_size=2000), st.text(max_size=50), st.text(max_size=20))
def test_any_bytes_give_a_checksum_or_the_reason(
    content: bytes, filename: str, sums_name: str
) -> None:
    _choose_or_refuse(content, filename, sums_name)


_PIECES = st.sampled_from(
    [
        *("SHA256 (", ") = ", "  ", " *", "\n", "\r\n", "\\", "\\n", "./", "# ", " HASH\n", "\t"),
        *(NAME, MD5, SHA1, SHA256, SHA512, OTHER, "SHA512", "- ", "\ufeff", "\0", "\u2028"),
        *("SHA256 hash of ", ":", "Algorithm  Hash  Path\n", "Hash : ", "Path : ", "C:\\", " "),
        "-----BEGIN PGP SIGNED MESSAGE-----\n",
        "-----BEGIN PGP SIGNATURE-----\n",
    ]
)


@given(st.lists(_PIECES, max_size=30))
def test_any_mixture_gives_a_checksum_or_the_reason(pieces: list[str]) -> None:
    _choose_or_refuse("".join(pieces).encode(), NAME, "CHECKSUM")


def _choose_or_refuse(content: bytes, filename: str, sums_name: str) -> None:
    try:
        checksum = checksum_files.choose(content, filename, sums_name)
    except TransferError as error:
        if error.reason is not Reason.SUMS_FILE_INVALID or len(error.message) > 1000:
            raise
    else:
        assert len(checksum.value) == checksum_lines.HEX_LENGTHS[checksum.algorithm]
        assert checksum.value.encode() in b"".join(content.lower().split())


def _gnu(name: str, algorithm: str, value: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == name else chr(92)}{value}  {escaped}\n"


def _bsd(name: str, algorithm: str, value: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == name else chr(92)}{algorithm.upper()} ({escaped}) = {value}\n"


def _digests(name: str, algorithm: str, value: str) -> str:
    return f"# {algorithm.upper()} HASH\n{_gnu(name, algorithm, value)}"


_NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: not name.startswith("./")
)
_FILES = st.dictionaries(
    _NAMES,
    st.sets(st.sampled_from(checksum_files.STRENGTH), min_size=1),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("write", [_gnu, _bsd, _digests])
@given(files=_FILES)
def test_what_is_written_is_read(
    write: Callable[[str, str, str], str], files: dict[str, set[str]]
) -> None:
    if write is _gnu:  # it cannot say BLAKE2b
        files = {name: (algorithms - {"blake2b"}) or {"md5"} for name, algorithms in files.items()}
    lines = [
        write(name, each, digest(each, name))
        for name, algorithms in files.items()
        for each in algorithms
    ]
    for name, algorithms in files.items():
        strongest = next(each for each in checksum_files.STRENGTH if each in algorithms)
        found = choose("".join(lines), name)
        assert (found.algorithm, found.value) == (strongest, digest(strongest, name))
