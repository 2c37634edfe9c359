"""Checksums of a cache's files, by which damage is noticed."""

import json
import zlib
from pathlib import Path

from fer_experiments.atomic_write import atomic_write, sync

CHECKSUMS = "checksums.json"
# The bytes of a file up to this size are always checked, which takes a quarter of a second; those of a larger file only
# if its modification time has changed.
MAX_ALWAYS_CHECKED = 2**28


def write_checksums(folder: Path, names: tuple[str, ...]) -> None:
    """Write checksums.json for the files of these names, after they are on the disk."""
    content = {}
    for name in names:
        file = folder / name
        sync(file)
        stat = file.stat()
        content[name] = {"bytes": stat.st_size, "time": stat.st_mtime_ns, "checksum": compute_checksum(file)}
    with atomic_write(folder / CHECKSUMS) as temporary:
        temporary.write_text(json.dumps(content))


def find_damage(folder: Path, names: tuple[str, ...]) -> str | None:
    """Return what is wrong with the files, such as a length or a flipped bit; None if nothing is."""
    try:
        content = json.loads((folder / CHECKSUMS).read_bytes())
        for name in names:
            file, written = folder / name, content[name]
            stat = file.stat()
            if stat.st_size != written["bytes"]:
                return f"{name} has {stat.st_size} bytes, {written['bytes']} were written"
            needs_check = stat.st_size <= MAX_ALWAYS_CHECKED or stat.st_mtime_ns != written["time"]
            if needs_check and compute_checksum(file) != written["checksum"]:
                return f"{name} has other bytes than were written"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return str(error)
    return None


def compute_checksum(file: Path) -> int:
    """Return the CRC-32 of a file."""
    checksum = 0
    with file.open("rb") as stream:
        while chunk := stream.read(2**22):
            checksum = zlib.crc32(chunk, checksum)
    return checksum
