"""Files on a desktop: what tells it that a file is ours, and what draws the small pictures in file managers.

::

    shared-mime-info ─► image/x-vaec, by its first bytes and by *.vaec
    thumbnailer entry ─► vaecodec thumbnail -s SIZE FILE OUT ─► PNG

GNOME, Xfce and, since Frameworks 6.6, KDE read both from the same folders.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from vaecodec.api import find_codec_for, read_container
from vaecodec.atomic import new_folder, remove_empty, write_atomically
from vaecodec.bitstream.container import EXTENSION, KIND_PICTURE, MAGIC
from vaecodec.errors import FileFormatError
from vaecodec.picture import strip_metadata, to_8_bit

MIME_TYPE: Final = "image/x-vaec"
"""As `vaecodec.pillow` has it."""
DEFAULT_SIZE: Final = 256

_MIME_FILE = Path("mime") / "packages" / "vaecodec.xml"
_THUMBNAILER_FILE = Path("thumbnailers") / "vaecodec.thumbnailer"
_LISTS: Final = (
    "XMLnamespaces", "aliases", "generic-icons", "globs", "globs2", "icons", "magic", "mime.cache", "subclasses",
    "treemagic", "types", "version",
)  # fmt: skip
"""What update-mime-database makes of all packages, beside a folder for each kind of media."""


def thumbnail(data: bytes, size: int = DEFAULT_SIZE) -> bytes:
    """Draws a small picture of a file, upright, in sRGB, without metadata.

    Args:
        data: the file.
        size: the longer side at most, in pixels.

    Returns:
        A PNG.

    Raises:
        FileFormatError: not a file of ours, a damaged one, or one that holds an array.
    """
    container = read_container(data)
    if container.header.kind != KIND_PICTURE:
        raise FileFormatError("the data: holds an array, which has no small picture")
    image = strip_metadata(to_8_bit(find_codec_for(container).decompress(container))).to_pil()
    image.thumbnail((size, size))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def mime_type_xml() -> str:
    """The entry for shared-mime-info: magic before the name, so that a file without its extension is known too."""
    magic = "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in MAGIC)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">
  <mime-type type="{MIME_TYPE}">
    <comment>vaecodec picture</comment>
    <generic-icon name="image-x-generic"/>
    <magic priority="60">
      <match type="string" offset="0" value="{magic}"/>
    </magic>
    <glob pattern="*{EXTENSION}"/>
  </mime-type>
</mime-info>
"""


def thumbnailer_entry() -> str:
    """The entry for file managers, with the path of the program, which need not be on the desktop's own path."""
    program = _program()
    return f"[Thumbnailer Entry]\nTryExec={program}\nExec={program} thumbnail -s %s %i %o\nMimeType={MIME_TYPE};\n"


def install(folder: Path | None = None) -> tuple[Path, ...]:
    """Writes both entries and has the desktop's list of types made anew, where the program for it is there.

    Args:
        folder: of shared data, such as ``/usr/share``; by default the user's own.

    Returns:
        What was written.

    Raises:
        OSError: as the operating system says.
    """
    folder = user_folder() if folder is None else folder
    written = []
    for name, text in ((_MIME_FILE, mime_type_xml()), (_THUMBNAILER_FILE, thumbnailer_entry())):
        path = folder / name
        with new_folder(path.parent):
            write_atomically(path, text.encode(), overwrite=True)
        written.append(path)
    _update(folder)
    return tuple(written)


def remove(folder: Path | None = None) -> tuple[Path, ...]:
    """Undoes `install`; returns what was removed. Folders in ``folder`` that are empty then go too.

    Raises:
        OSError: as the operating system says.
    """
    folder = user_folder() if folder is None else folder
    removed = [path for name in (_MIME_FILE, _THUMBNAILER_FILE) if (path := folder / name).exists()]
    for path in removed:
        path.unlink()
    if removed:
        _update(folder)
        _remove_leavings(folder)
    return tuple(removed)


def user_folder() -> Path:
    """The user's folder of shared data, as the XDG base directory specification has it."""
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def _update(folder: Path) -> None:
    program = shutil.which("update-mime-database")
    if program is None:
        return
    # It has notes of several lines for packagers, also where all went well.
    done = subprocess.run(
        [program, str(folder / "mime")], capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode != 0:
        raise OSError(f"{program} failed: {' '.join(done.stderr.split()) or f'exit code {done.returncode}'}")


def _remove_leavings(folder: Path) -> None:
    """Where ours was the last package, the lists of packages are of nothing."""
    mime, packages = folder / "mime", folder / _MIME_FILE.parent
    if packages.is_dir() and not any(packages.iterdir()):
        for name in _LISTS:
            (mime / name).unlink(missing_ok=True)
        remove_empty([mime, packages, mime / MIME_TYPE.partition("/")[0]])
    remove_empty([folder / _THUMBNAILER_FILE.parent])


def _program() -> str:
    beside = Path(sys.executable).with_name("vaecodec")
    return str(beside) if beside.exists() else shutil.which("vaecodec") or "vaecodec"
