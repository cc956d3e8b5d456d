"""CEL rules for properties whose values are known for good; the others only get a warning.

A list that OpenStack makes longer now and then is not among them: a new value must not need a new
CRD. Which lists there are: :mod:`cloudimage.vocabulary.properties`.
"""

from cloudimage.vocabulary.properties import FALSE, RULES, TRUE

_FIXED_LISTS = (
    "hw_cdrom_bus",
    "hw_disk_bus",
    "hw_firmware_type",
    "img_config_drive",
    "os_secure_boot",
)


def _list(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(f"'{each}'" for each in values) + "]"


def named(names: str, wrong: str, what: str) -> str:
    """Return the CEL expression of a message that names one of the properties that are wrong.

    All of them would cost more than the API server allows, and so would the first by its name: a
    map has no order.

    Args:
        names: CEL expression of the names to look at.
        wrong: Condition of a wrong name ``k``.
        what: What the property is, as the end of a sentence.
    """
    return f"{names}.filter(k, {wrong})[0] + ': {what}'"


def _fixed(name: str) -> tuple[str, str]:
    values = RULES[name].values
    rule = f"!('{name}' in self) || self['{name}'] in {_list(values)}"
    return rule, f"{name} must be {RULES[name].text}"


_BOOLEANS = tuple(sorted(name for name, rule in RULES.items() if rule.type == "boolean"))
_IS_BOOLEAN = f"self[k].trim().lowerAscii() in {_list(TRUE + FALSE)}"


def refusal(name: str, value: str) -> str | None:
    """Return what is wrong with a property by the rules of this module; None: nothing.

    For text that becomes a spec: who writes it learns of all properties, and not of the first.
    """
    rule = RULES.get(name)
    checked = name in _FIXED_LISTS or name in _BOOLEANS
    if checked and rule is not None and not rule.allows(value):
        return f"must be {rule.text}"
    if name.startswith("trait:") and value != "required":
        return "must be required"
    return None


PROPERTY_RULES = (
    *(_fixed(name) for name in _FIXED_LISTS),
    (
        f"{_list(_BOOLEANS)}.all(k, !(k in self) || {_IS_BOOLEAN})",
        "boolean properties must be true or false",
        named(_list(_BOOLEANS), f"k in self && !({_IS_BOOLEAN})", "neither true nor false"),
    ),
    (
        "self.all(k, !k.startsWith('trait:') || self[k] == 'required')",
        "a trait: property must be required",
        named(
            "self", "k.startsWith('trait:') && self[k] != 'required'", "a trait must be required"
        ),
    ),
)
"""Each a rule for the map of properties, and its message."""
