"""Whether the properties of an image can work, as far as OpenStack documents them."""

import difflib
import re
from collections.abc import Iterator, Mapping

from cloudimage import templates
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.controller.logic.conditions import Draft
from cloudimage.images.logic.desired import Desired
from cloudimage.vocabulary.properties import NAMES, RULES, Rule

_HYPERVISOR = ("img_hv_type", "hypervisor_type")
"""The latter is the older name of the former (Nova, ``ImageMetaProps._legacy_property_map``)."""

_BUS_PROPERTIES = ("hw_disk_bus", "hw_cdrom_bus", "hw_floppy_bus", "hw_rescue_bus")
_QEMU_BUSES = ("fdc", "ide", "sata", "scsi", "usb", "virtio")
_BUSES = {
    "qemu": _QEMU_BUSES,
    "kvm": _QEMU_BUSES,
    "xen": ("ide", "xen"),
    "lxc": ("lxc",),
    "uml": ("uml",),
    "parallels": ("ide", "scsi"),
    "vmware": ("ide", "scsi"),
}
"""By hypervisor. "Useful image properties" has the table; for qemu and kvm it is older than Nova's
``SUPPORTED_DEVICE_BUSES``, which refuses xen, uml and lxc there, and that is what counts."""

_KVM_CARDS = (
    *("e1000", "e1000e", "igb", "ne2k_pci", "pcnet", "rtl8139", "spapr-vlan", "virtio"),
    "vmxnet3",
)
_CARDS = {
    "qemu": (*_KVM_CARDS, "lan9118"),
    "kvm": _KVM_CARDS,
    "xen": ("e1000", "netfront", "ne2k_pci", "pcnet", "rtl8139"),
    "parallels": ("e1000", "rtl8139", "virtio"),
    "vmware": ("e1000", "e1000e", "pcnet", "sriov", "vmxnet", "vmxnet3"),
}
"""hw_vif_model by hypervisor, of the same sources (Nova's ``SUPPORTED_VIF_MODELS``, and
``convert_vif_model`` of its VMware driver)."""

_CARD_NAMES = {
    "virtuale1000": "e1000",
    "virtuale1000e": "e1000e",
    "virtualpcnet32": "pcnet",
    "virtualsriovethernetcard": "sriov",
    "virtualvmxnet": "vmxnet",
    "virtualvmxnet3": "vmxnet3",
}
"""VMware's names of cards, which Nova translates for every hypervisor (``VIFModel``)."""

_NOT_OF_QEMU = frozenset({"gop", "xen"})
"""Video models of other hypervisors (libvirt's domain format, "Video devices")."""


_ALIKE = 0.9
"""How much of a misspelt name must be right (``difflib.SequenceMatcher.ratio``)."""

_NUMBERED = re.compile(r"\.[0-9]+$")
"""End of a name that there is for each NUMA node, for instance hw_numa_cpus.0."""


def draft(resource: CloudImage) -> Draft:
    """Return the condition PropertiesValid."""
    given = resource.spec.image.properties or {}
    # What stands for a variable is not known to be wrong.
    fixed = {name: each for name, each in given.items() if not templates.variables(each)}
    found = (*complaints(fixed), *_signed(resource))
    if found:
        message = " ".join(found)
        return Draft(ConditionType.PROPERTIES_VALID, "False", Reason.INVALID_PROPERTIES, message)
    message = "Every known property has a valid value."
    return Draft(ConditionType.PROPERTIES_VALID, "True", Reason.PROPERTIES_KNOWN, message)


def _signed(resource: CloudImage) -> Iterator[str]:
    """Yield what a conversion does to the signature that Glance checks of what it stores.

    Without a declared format the conversion is known, and refused, once the source was fetched.
    """
    image = resource.spec.image
    if resource.spec.source is None or "img_signature" not in (image.properties or {}):
        return
    source = Desired.of(resource.spec).source
    declared = source.declared_format() if source else None
    if None not in {declared, image.disk_format} and declared != image.disk_format:
        yield (
            "img_signature is a signature of the source's bytes: with a conversion from "
            f"{declared} to {image.disk_format} Glance refuses the image."
        )


def complaints(properties: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence about each property that cannot work; others' properties are fine."""
    named = next((properties[name] for name in _HYPERVISOR if name in properties), "")
    hypervisor = named.lower()
    for name, value in sorted(properties.items()):
        rule = _rule(name)
        if rule is None:
            if meant := _misspelt(name):
                yield f"OpenStack knows no property {name}: did you mean {meant}?"
            continue
        fitting = _of_hypervisor(name, hypervisor)
        if not rule.allows(value):
            yield f'{name} is "{value[:100]}": it must be {rule.text}.'
        elif fitting and _card(name, value) not in fitting:
            allowed = Rule("string", fitting).text
            yield f'{name} is "{value}": with the hypervisor {named} it must be {allowed}.'


def _rule(name: str) -> Rule | None:
    if name.startswith("trait:"):
        return Rule("string", ("required",))
    return RULES.get(name)


def _misspelt(name: str) -> str | None:
    """Return the known property that a name is almost; None for a known or another name."""
    plain = _NUMBERED.sub("", name.lower().replace("-", "_"))
    if _NUMBERED.sub("", name) in NAMES:
        return None
    return next(iter(difflib.get_close_matches(plain, NAMES, 1, _ALIKE)), None)


def _of_hypervisor(name: str, hypervisor: str) -> tuple[str, ...]:
    """Return the values that a hypervisor knows; none: nothing is documented about it."""
    if name in _BUS_PROPERTIES:
        return _BUSES.get(hypervisor, ())
    if name == "hw_vif_model":
        return _CARDS.get(hypervisor, ())
    if name == "hw_video_model" and hypervisor in {"qemu", "kvm"}:
        return tuple(each for each in RULES[name].values if each not in _NOT_OF_QEMU)
    return ()


def _card(name: str, value: str) -> str:
    """Return the value as Nova compares it."""
    return _CARD_NAMES.get(value.lower(), value.lower()) if name == "hw_vif_model" else value
