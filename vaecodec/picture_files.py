"""Picture files by their names: one list of extensions, one search of folders. Standard library alone, so trainers have it too."""

from __future__ import annotations

import os
import stat
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
        PermissionError: it may not be read or searched.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file: name the folder it is in" if folder.exists() else "no such folder: name a folder of pictures"
        raise UsageError(f"{folder}: {what}")
    if paths := _pictures(folder.iterdir(), READABLE_EXTENSIONS):
        return paths
    raise UsageError(f"{folder}: no pictures in this folder: name one that has some")


def find_plain_pictures(folder: Path) -> list[Path]:
    """Lists the pictures of plain formats in a folder and below it, by path; empty where there are none.

    Raises:
        PermissionError: one of the folders may not be read or searched: what is in it would be left out unnoticed.
    """
    return _pictures(_below(folder), PLAIN_EXTENSIONS)


def _below(folder: Path) -> Iterable[Path]:
    def refused(error: OSError) -> None:
        if isinstance(error, PermissionError):
            raise error

    for here, _, names in os.walk(folder, onerror=refused):
        yield from (Path(here, name) for name in names)


def _pictures(paths: Iterable[Path], extensions: frozenset[str]) -> list[Path]:
    return sorted(path for path in paths if path.suffix.lower() in extensions and _is_file(path))


def _is_file(path: Path) -> bool:
    """As `Path.is_file`, which in some versions of Python passes over what may not be looked at."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except PermissionError:
        raise
    except OSError:
        return False
