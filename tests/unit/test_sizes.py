"""Human-readable sizes."""

import pytest

from cloudimage.sizes import exact_text, quantity, size_text


@pytest.mark.parametrize(
    ("size", "short", "text", "exact"),
    [
        (0, "0", "0 bytes", "0 bytes"),
        (1023, "1023", "1023 bytes", "1023 bytes"),
        (1024, "1.0Ki", "1.0 KiB", "1.0 KiB (1024 bytes)"),
        (340_066_304, "324.3Mi", "324.3 MiB", "324.3 MiB (340066304 bytes)"),
        (2**30 - 1, "1.0Gi", "1.0 GiB", "1.0 GiB (1073741823 bytes)"),
        (3 * 2**30, "3.0Gi", "3.0 GiB", "3.0 GiB (3221225472 bytes)"),
        (5000 * 2**40, "5000.0Ti", "5000.0 TiB", "5000.0 TiB (5497558138880000 bytes)"),
    ],
)
def test_sizes(size: int, short: str, text: str, exact: str) -> None:
    assert (quantity(size), size_text(size), exact_text(size)) == (short, text, exact)
