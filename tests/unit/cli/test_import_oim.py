"""What ``cloudimage import`` makes of openstack-image-manager's lists, as people write them."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cloudimage import templates
from cloudimage.cli.app import app
from support.oim import BASE, ENTRY, SHA256, changed, made, run


def test_the_newest_version_is_the_source_and_metadata_is_set_as_it_was(tmp_path: Path) -> None:
    done = run(tmp_path, ENTRY, "-n", "images")
    [found] = yaml.safe_load_all(done.stdout)
    assert found["metadata"] == {"name": "example-12", "namespace": "images"}
    assert found["spec"] == {
        "cloudCredentialsRef": {"secretName": "openstack", "cloudName": "images"},
        "source": {
            "http": {
                "url": f"{BASE}/20240703/example-12.qcow2",
                "mirrors": ["https://mirror.example.org/20240703-example-12.qcow2"],
                "checksum": {"sha256": SHA256},
            }
        },
        "image": {
            "name": "Example Linux 12",
            "diskFormat": "qcow2",
            "visibility": "public",
            "minDiskGiB": 8,
            "minRamMiB": 512,
            "tags": ["golden", "os:debian"],
            "properties": {
                "architecture": "x86_64",
                "hw_disk_bus": "scsi",
                "hw_vif_multiqueue_enabled": "true",
                "image_build_date": "2024-07-03",
                "image_description": "Example Linux 12",
                "image_name": "Example Linux 12",
                "image_original_user": "example",
                "image_source": f"{BASE}/20240703/example-12.qcow2",
                "os_distro": "debian",
                "os_version": "24.10",  # not a fraction
                "provided_until": "none",
                "replace_frequency": "quarterly",
                "uuid_validity": "last-3",
            },
        },
        "revisionHistoryLimit": 2,
    }
    assert "# Left out: 20231002: these versions are not the newest" in done.stdout
    assert "opensesame" not in done.output
    assert "CloudImages written: 1; left out: 0" in done.stderr
    assert run(tmp_path, ENTRY, "-n", "images").stdout == done.stdout


def test_versions_that_are_images_of_their_own(tmp_path: Path) -> None:
    entry = changed("multi: true", "multi: false\n    separator: ' - '")
    found = made(tmp_path, entry)
    assert {name: spec["image"]["name"] for name, spec in found.items()} == {
        "example-12-20231002": "Example Linux 12 - 20231002",
        "example-12-20240703": "Example Linux 12 - 20240703",
    }
    newest = found["example-12-20240703"]
    assert newest["image"]["properties"]["os_version"] == "20240703"
    assert "revisionHistoryLimit" not in newest


@pytest.mark.parametrize(
    ("latest", "sums", "http"),
    [
        (
            f"{BASE}/current/example.img",
            f"{BASE}/current/SHA256SUMS",
            {
                "url": f"{BASE}/current/example.img",
                "checksum": {"from": {"url": f"{BASE}/current/SHA256SUMS"}},
            },
        ),
        (
            f"{BASE}/daily/latest/example-12-amd64.qcow2",
            f"{BASE}/daily/latest/SHA512SUMS",
            {
                "index": {
                    "listing": f"{BASE}/daily/",
                    "folder": r"\d{8}-\d+",
                    "pattern": r"example-12-amd64-(?P<version>\d{8}-\d+)\.qcow2",
                },
                "checksum": {
                    "from": {"url": f"{BASE}/daily/$(folder)/SHA512SUMS", "filename": "$(name)"}
                },
            },
        ),
        (
            rf"{BASE}/Example-12-HEREBE\d+\.\dDRAGONS.x86_64.qcow2",
            f"{BASE}/CHECKSUM",
            {
                "url": f"{BASE}/$(name)",
                "index": {
                    "checksums": f"{BASE}/CHECKSUM",
                    "pattern": r"Example-12-(?P<version>\d+\.\d)\.x86_64\.qcow2",
                },
                "checksum": {"from": {"url": f"{BASE}/CHECKSUM", "filename": "$(name)"}},
            },
        ),
        (
            rf"{BASE}/Example-12-HEREBE\d+\.qcow2$DRAGONS",
            f"{BASE}/CHECKSUM",
            {
                "url": f"{BASE}/$(name)",
                "index": {
                    "checksums": f"{BASE}/CHECKSUM",
                    "pattern": r"Example-12-(?P<version>\d+)\.qcow2",
                },
                "checksum": {"from": {"url": f"{BASE}/CHECKSUM", "filename": "$(name)"}},
            },
        ),
    ],
    ids=["current", "dated folders", "pattern", "pattern to the end"],
)
def test_a_latest_url_is_followed(
    tmp_path: Path, latest: str, sums: str, http: dict[str, Any]
) -> None:
    entry = f"{ENTRY}    latest_url: {latest}\n    latest_checksum_url: {sums}\n"
    spec = made(tmp_path, entry, "--every", "6h")["example-12"]
    assert spec["source"] == {"http": http}
    assert spec["follow"] == {"every": "6h"}
    assert "image_build_date" not in spec["image"]["properties"]
    pinned = made(tmp_path, entry, "--pin")["example-12"]
    assert "follow" not in pinned
    assert pinned["source"]["http"]["checksum"] == {"sha256": SHA256}


def test_dollars_are_no_variables_of_the_new_object(tmp_path: Path) -> None:
    text = "A $$ B $(x)"
    entry = (
        ENTRY.replace("name: Example Linux 12", f"name: {text}")
        .replace("[golden]", f"['{text}']")
        .replace("os_version: 24.10", f"note: {text}")
    )
    image = made(tmp_path, entry)["example-12"]["image"]
    assert templates.fill(image["name"], {}) == text
    assert sorted(templates.fill(each, {}) for each in image["tags"]) == [text, "os:debian"]
    assert templates.fill(image["properties"]["note"], {}) == text
    assert templates.fill(image["properties"]["image_name"], {}) == text


def test_dollars_of_a_folder_are_no_variables_of_the_source(tmp_path: Path) -> None:
    folder = f"{BASE}/$(x)"
    entry = (
        f"{ENTRY}    latest_url: {folder}/Example-HEREBE\\d+DRAGONS.qcow2\n"
        f"    latest_checksum_url: {folder}/CHECKSUM\n"
    )
    http = made(tmp_path, entry)["example-12"]["source"]["http"]
    assert templates.fill(http["url"], {"name": "a"}) == f"{folder}/a"
    assert templates.fill(http["checksum"]["from"]["url"], {}) == f"{folder}/CHECKSUM"
    assert http["index"]["checksums"] == f"{folder}/CHECKSUM"
    dated = (
        f"{ENTRY}    latest_url: {folder}/latest/example.qcow2\n"
        f"    latest_checksum_url: {folder}/latest/SUMS$(y)\n"
    )
    http = made(tmp_path, dated)["example-12"]["source"]["http"]
    assert http["index"]["listing"] == f"{folder}/"
    found = templates.fill(http["checksum"]["from"]["url"], {"folder": "a"})
    assert found == f"{folder}/a/SUMS$(y)"


@pytest.mark.parametrize("field", ["checksums_url", "checksum_url"])
def test_the_version_latest_is_followed(tmp_path: Path, field: str) -> None:
    sums = f"{BASE}/SHA256SUMS"
    entry = changed("version: '20240703'", f"version: latest\n        {field}: {sums}")
    spec = made(tmp_path, entry)["example-12"]
    assert spec["source"]["http"]["checksum"] == {"from": {"url": sums}}
    assert spec["follow"] == {"every": "24h"}


def test_a_mirror_of_the_unpacked_file_has_the_checksum(tmp_path: Path) -> None:
    entry = changed("example-12.qcow2\n        mirror_url", "example-12.tar.xz\n        mirror_url")
    done = run(tmp_path, entry)
    http = yaml.safe_load(done.stdout)["spec"]["source"]["http"]
    assert http == {
        "url": "https://mirror.example.org/20240703-example-12.qcow2",
        "checksum": {"sha256": SHA256},
    }
    assert "not of the packed one" in done.stdout


def test_a_local_file_is_an_upload(tmp_path: Path) -> None:
    entry = changed(f"^ +{BASE}/20240703.*", "          file:///srv/example-12.qcow2")
    done = run(tmp_path, entry)
    assert yaml.safe_load(done.stdout)["spec"]["source"] == {"upload": {"sha256": SHA256}}
    assert "kubectl cloudimage upload FILE" in done.stdout


@pytest.mark.parametrize(
    ("pattern", "text", "note"),
    [
        ("min_ram: 512", "min_ram: 512\n    keep: true", "revisionHistoryLimit says how many"),
        (
            "min_ram: 512",
            "min_ram: 512\n    colour: red",
            "Left out: colour: these fields are unknown",
        ),
        ("hw_disk_bus: scsi", "hw_disk_bus: floppy", "hw_disk_bus: this property must be one of"),
        ("hw_disk_bus: scsi", "os_glance_x: y", "os_glance_x: Glance or the operator sets"),
        ("hw_disk_bus: scsi", "visibility: public", "Left out: visibility: Glance or the operator"),
        ("build_date: 2024-07-03", f"id: {'0' * 8}-0000-4000-8000-{'0' * 12}", "spec.adopt takes"),
        ('^ +checksum: "sha256.*', "        hidden: true", "It has no checksum"),
        ("hw_disk_bus: scsi", "note: https://u:pw@h/x", "note: this property is a URL with a user"),
    ],
)
def test_what_has_no_place_in_a_spec_is_named(
    tmp_path: Path, pattern: str, text: str, note: str
) -> None:
    done = run(tmp_path, changed(pattern, text))
    assert done.exit_code == 0
    assert any(line.startswith("#") and note in line for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("pattern", "text", "why"),
    [
        ("status: active", "status: deactivated", "its status is deactivated"),
        (
            "format: qcow2",
            "format: floppy",
            "spec.image.diskFormat: Input should be 'raw', 'qcow2'",
        ),
        ("visibility: public", "visibility: secret", "spec.image.visibility: Input should be"),
        ("min_disk: 8", "min_disk: many", "its min_disk is not a whole number"),
        ("sha256:0b", "sha256:", "spec.source.http.checksum.sha256: must be 64 hexadecimal digits"),
        ("sha256:", "crc32:", "its checksum is not one of md5:, sha1:, sha256: and sha512:"),
        (f"^ +{BASE}/20240703.*", "          https://u:pw@example.org/x", "its url has a user"),
        ("tags: .golden.", "tags: golden", "its tags are not a list"),
        ("version: '20231002'", "nothing: here", "one of its versions has no version"),
        ("version: '20240703'", "version: latest", "without checksums_url or checksum_url"),
        ("name: Example Linux 12", "title: x", "it has no name"),
    ],
)
def test_what_cannot_be_converted_is_named_and_the_others_are_written(
    tmp_path: Path, pattern: str, text: str, why: str
) -> None:
    other = ENTRY.replace("example-12\n", "other\n").replace("Linux 12", "Other")
    done = run(tmp_path, changed(pattern, text) + other)
    assert done.exit_code == 1
    assert [each["metadata"]["name"] for each in yaml.safe_load_all(done.stdout)] == ["other"]
    assert "CloudImages written: 1; left out: 1, of which cannot be converted: 1." in done.stderr
    assert why in done.stderr
    assert "pw" not in done.output


def test_ftp_without_a_mirror(tmp_path: Path) -> None:
    entry = ENTRY.replace("mirror_url: https://mirror.example.org", "mirror_url: ftp://example.org")
    done = run(tmp_path, entry.replace(BASE, "ftp://example.org"))
    assert done.exit_code == 1
    assert "its ftp URL cannot be fetched: give an http or https URL as mirror_url" in done.stderr


def test_disabled_images_are_named(tmp_path: Path) -> None:
    entry = changed("enable: true", "enable: false")
    done = run(tmp_path, entry)
    assert done.exit_code == 0
    assert done.stdout == ""
    assert "Left out Example Linux 12 (example.yml): it is disabled there" in done.stderr
    assert "example-12" in made(tmp_path, entry, "--disabled")


def test_names_are_of_kubernetes_and_each_is_another_one(tmp_path: Path) -> None:
    plain = re.sub("    shortname.*\n", "", ENTRY)
    named = ["Ünï  Côdé (2)", "uni code 2", "Uni/Code 2", "x" * 300, "---"]
    entries = [
        plain.replace("name: Example Linux 12", f"name: '{each}'").replace("20240703/", f"{n}/")
        for n, each in enumerate(named)
    ]
    done = run(tmp_path, "".join(entries))
    names = [each["metadata"]["name"] for each in yaml.safe_load_all(done.stdout)]
    assert names[0] == "uni-code-2"
    assert names[3] == "image"
    assert len(set(names)) == 4
    assert all(re.fullmatch(r"uni-code-2(-[0-9a-f]{8})?", each) for each in names[:3])
    # The longest is refused by its name in Glance.
    assert "spec.image.name: String should have at most 255 characters" in done.stderr
    assert run(tmp_path, "".join(entries)).stdout == done.stdout


def test_the_same_entry_twice_is_written_once(tmp_path: Path) -> None:
    done = run(tmp_path, ENTRY + ENTRY)
    assert len(list(yaml.safe_load_all(done.stdout))) == 1
    assert "the input has the same entry twice" in done.stderr


def test_a_folder_is_read_and_one_is_written(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    for name in ("a", "b"):
        text = ENTRY.replace("example-12\n", f"{name}\n").replace("Linux 12", name)
        (tmp_path / "lists" / f"{name}.yml").write_text(f"images:\n{text}")
    words = ["import", str(tmp_path / "lists"), "--secret", "s", "--cloud", "c"]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "out")])
    assert done.exit_code == 0
    assert done.stdout == ""
    files = {each.name: each.read_text() for each in (tmp_path / "out").iterdir()}
    assert files.keys() == {"a.yaml", "b.yaml"}
    shown = CliRunner().invoke(app, words).stdout
    assert shown == "---\n".join(files[each] for each in sorted(files))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"images: [&a {name: x}, *a]", "has an anchor or an alias in line 1"),
        (b"images: [!!python/object:os.system {}]", "has a tag in line 1"),
        (b"images:\n\t- x", "is not valid YAML near line 2"),
        (b"[" * 5000, "is nested deeper than 8 levels"),
        (b"images: x", "is neither a list of images of openstack-image-manager"),
        (b"- name: x", "is neither a list of images of openstack-image-manager"),
        (b"\xff\xfe\x00", "is not text in UTF-8"),
        (b"images: [" + b"x," * 60_000 + b"]", "has more than 50000 values"),
        (b"#" * (5 * 2**20), "is larger than 4096 KiB"),
        (b"{" * 100_000, "is not valid JSON"),
        (b'{"a": ' * 100_000, "is not valid JSON"),
        (b'{"version": 4, "terraform_version": "1", "resources": []}', "terraform show -json"),
    ],
)
def test_input_that_is_something_else(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "input"
    path.write_bytes(content)
    done = CliRunner().invoke(app, ["import", str(path), "--secret", "s", "--cloud", "c"])
    assert done.exit_code == 1
    assert done.stdout == ""
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1


def test_words_of_the_input_move_nothing_in_a_terminal(tmp_path: Path) -> None:
    text = r'name: "a\e[2J\nb: c"'
    done = run(tmp_path, ENTRY.replace("name: Example Linux 12", text))
    assert "\x1b" not in done.output
    assert yaml.safe_load(done.stdout)["spec"]["image"]["name"] == "a\x1b[2J\nb: c"
