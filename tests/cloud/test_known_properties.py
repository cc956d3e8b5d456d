"""What is known of properties is what the test bed's Glance defines and its Nova takes."""

import json
import subprocess
from typing import Any

import pytest

from cloudimage.codegen import known_properties as metadefs
from cloudimage.vocabulary import properties as known_properties
from cloudimage.vocabulary.properties import NAMES, RULES
from testbed.openstack import venv
from testbed.paths import REPOSITORY

pytestmark = pytest.mark.cloud

_ASK_NOVA = """
import json
from nova import exception
from nova.objects import image_meta
properties = image_meta.ImageMetaProps
fields = {}
for name, field in properties.fields.items():
    valid = getattr(field.AUTO_TYPE, "_valid_values", None)
    fields[name] = list(valid) if valid else type(field.AUTO_TYPE).__name__
names = dict(properties._legacy_property_map)
def takes(name, value):
    try:
        image_meta.ImageMeta.from_dict({"properties": {name: value}})
    except (exception.NovaException, ValueError):
        return False
    return True
wanted = json.loads(input())
print(json.dumps({
    "fields": fields,
    "names": names,
    "refused": [[n, v] for n, values in wanted.items() for v in values if not takes(n, v)],
}))
"""

_OF_ANOTHER_NOVA = {("hypervisor_type", "powervm"), ("img_hv_type", "powervm")}
"""Of a driver that was removed, but that the metadata definitions still have."""


@pytest.fixture(scope="module")
def nova() -> dict[str, dict[str, object]]:
    """What Nova's own code says of image properties, and which of our values it refuses."""
    venv.install()
    asked = {name: rule.values for name, rule in RULES.items() if rule.values}
    answer = subprocess.run(
        # Nova's imports warn of what its own dependencies have deprecated.
        [venv.location() / "bin" / "python", "-W", "ignore", "-c", _ASK_NOVA],
        input=json.dumps(asked) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, dict[str, object]] = json.loads(answer.stdout)
    return found


def test_the_bundled_file_is_made_from_glances_definitions() -> None:
    venv.install()
    path = REPOSITORY / "operator" / "cloudimage" / "vocabulary" / known_properties.DATA
    assert path.read_text() == metadefs.render(venv.location() / "etc" / "glance" / "metadefs")


def test_every_name_that_nova_reads_is_known(nova: dict[str, dict[str, object]]) -> None:
    # Traits have a prefix instead of names.
    assert {*nova["fields"], *nova["names"]} - NAMES == {"traits_required"}


def test_nova_takes_every_value_that_is_called_good(nova: dict[str, Any]) -> None:
    refused = {(name, value) for name, value in nova["refused"]}
    assert refused == _OF_ANOTHER_NOVA


def test_no_value_that_nova_takes_is_called_bad(nova: dict[str, dict[str, object]]) -> None:
    fields, names = nova["fields"], nova["names"]
    for name, rule in RULES.items():
        field = fields.get(str(names.get(name, name)))
        if isinstance(field, list):
            bad = [value for value in field if not rule.allows(value)]
            assert bad == [], name
        elif field in {"Integer", "FlexibleBoolean"}:
            assert rule.type == ("integer" if field == "Integer" else "boolean"), name
