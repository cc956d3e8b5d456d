"""Numbers of bytes as human-readable text: in binary units, by 1024."""

from typing import Final

_UNITS: Final = ("", "Ki", "Mi", "Gi", "Ti")
_STEP: Final = 1024


def quantity(size: int) -> str:
    """Return a number of bytes as Kubernetes writes quantities, for instance ``2.0Gi``."""
    number, unit = _scaled(size)
    return f"{number:.1f}{unit}" if unit else f"{size}"


def size_text(size: int) -> str:
    """Return a number of bytes for a sentence, for instance ``2.0 GiB`` or ``512 bytes``."""
    number, unit = _scaled(size)
    return f"{number:.1f} {unit}B" if unit else f"{size} bytes"


def exact_text(size: int) -> str:
    """Return the same with the bytes beside: ``2.0 GiB (2147483648 bytes)``, ``512 bytes``."""
    text = size_text(size)
    return text if abs(size) < _STEP else f"{text} ({size} bytes)"


def _scaled(size: int) -> tuple[float, str]:
    value, unit = float(size), 0
    # By what is shown: 1023.96 Mi is 1.0 Gi.
    while round(abs(value), 1) >= _STEP and unit < len(_UNITS) - 1:
        value, unit = value / _STEP, unit + 1
    return value, _UNITS[unit]
