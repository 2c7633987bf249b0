"""Picture files by their names: one list of extensions, one search of folders. Standard library alone, so trainers have it too."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from vaecodec.errors import UsageError

PLAIN_EXTENSIONS: Final = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""Of the formats that every Pillow reads: what is trained and calibrated on."""
READABLE_EXTENSIONS: Final = PLAIN_EXTENSIONS | frozenset(
    {".avif", ".gif", ".heic", ".heif", ".hif", ".j2k", ".jp2", ".jpe", ".jxl", ".mpo", ".pfm", ".pnm"}
)
"""Of all formats that are read, some of them with extras."""


def find_pictures(folder: str | Path) -> list[Path]:
    """Lists the files in a folder, not below it, whose names end as pictures' do, in alphabetical order.

    Raises:
        UsageError: there is no such folder, or no picture in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file: name the folder it is in" if folder.exists() else "no such folder: name a folder of pictures"
        raise UsageError(f"{folder}: {what}")
    if paths := _pictures(folder.iterdir(), READABLE_EXTENSIONS):
        return paths
    raise UsageError(f"{folder}: no pictures in this folder: name one that has some")


def find_plain_pictures(folder: Path) -> list[Path]:
    """Lists the pictures of plain formats in a folder and below it, by path; empty where there are none."""
    return _pictures(folder.rglob("*"), PLAIN_EXTENSIONS)


def _pictures(paths: Iterable[Path], extensions: frozenset[str]) -> list[Path]:
    return sorted(path for path in paths if path.suffix.lower() in extensions and path.is_file())
