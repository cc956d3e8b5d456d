"""Counts the data that a VHDX has in its file: of this format alone ``qemu-img map`` tells nothing.

Offsets and identities are those of Microsoft's "VHDX Format Specification" ([MS-VHDX]), read where
qemu reads them (block/vhdx.c).
"""

import struct
import uuid
from typing import IO, Any, Final

_REGIONS: Final = 192 * 1024
_TABLE_LENGTH: Final = 64 * 1024
_REGION_HEADER = struct.Struct("<8xI4x")  # entries
_REGION = struct.Struct("<16sQI4x")  # identity, offset, bytes
_METADATA_HEADER = struct.Struct("<10xH20x")  # entries
_METADATA = struct.Struct("<16sI12x")  # identity, offset from the region's beginning
_MOST_ENTRIES: Final = 2047

_BLOCKS: Final = uuid.UUID("2DC27766-F623-4200-9D64-115E9BFD4A08").bytes_le
_METADATA_REGION: Final = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E").bytes_le
_PARAMETERS: Final = uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B").bytes_le

_ENTRY = struct.Struct("<Q")  # place in MiB, and the state in the lowest bits
_STATE: Final = 7
_FIRST_PRESENT: Final = 6  # fully present; 7: in part
_STEP: Final = 2**20
_FARTHEST: Final = 2**62


def blocks(file: IO[bytes], size: int) -> tuple[int, int]:
    """Return how many blocks of a VHDX are said to be in its file, and how many fit into it.

    More than fit are not counted to their end.

    Args:
        file: Of the image; qemu has opened it before.
        size: Bytes of the file.

    Raises:
        ValueError: A table is not where it should be.
    """
    places = {key: place for key, *place in _entries(file, _REGIONS, _REGION_HEADER, _REGION)}
    if _BLOCKS not in places or _METADATA_REGION not in places:
        raise ValueError("a region is missing")
    metadata, _ = places[_METADATA_REGION]
    items = dict(_entries(file, metadata, _METADATA_HEADER, _METADATA))
    if _PARAMETERS not in items:
        raise ValueError("its block size is missing")
    block = int.from_bytes(_read(file, metadata + items[_PARAMETERS], 4), "little")
    offset, length = places[_BLOCKS]
    # The last block need not be whole.
    most = size // block + 1 if block else 0
    return _present(file, offset, min(length, size), most), most


def _present(file: IO[bytes], offset: int, length: int, most: int) -> int:
    """Count the blocks that are said to be in the file, up to somewhat more than ``most``."""
    _seek(file, offset)
    found = 0
    while found <= most and (content := file.read(min(length, _STEP))):
        whole = content[: len(content) // _ENTRY.size * _ENTRY.size]
        found += sum(entry & _STATE >= _FIRST_PRESENT for (entry,) in _ENTRY.iter_unpack(whole))
        length -= len(content)
    return found


def _entries(
    file: IO[bytes], offset: int, header: struct.Struct, entry: struct.Struct
) -> list[tuple[Any, ...]]:
    table = _read(file, offset, _TABLE_LENGTH)
    (count,) = header.unpack_from(table)
    if count > _MOST_ENTRIES:
        raise ValueError("a table is too long")
    places = (header.size + number * entry.size for number in range(count))
    return [entry.unpack_from(table, place) for place in places]


def _read(file: IO[bytes], offset: int, length: int) -> bytes:
    _seek(file, offset)
    content = file.read(length)
    if len(content) < length:
        raise ValueError("a table is outside of the file")
    return content


def _seek(file: IO[bytes], offset: int) -> None:
    if offset > _FARTHEST:
        raise ValueError("a table is outside of the file")
    file.seek(offset)
