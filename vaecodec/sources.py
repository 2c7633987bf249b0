"""Bytes of a file of ours, from wherever a caller has them."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from vaecodec.errors import LimitError, NotVaecodecFileError, PictureNotFoundError

FileSource = bytes | bytearray | memoryview | str | os.PathLike[str] | os.PathLike[bytes] | BinaryIO
"""A file in memory, a path, or a binary file that is read from where it stands."""

_MAGIC = b"\x89VAEC"
_MOST_BYTES = 1 << 31
"""Of a file of ours from a pipe or a device; larger ones lie on a disk."""
_BLOCK = 1 << 20
_BEGINNING = 1 << 12


def bytes_of(source: FileSource) -> bytes:
    """The bytes of a file.

    Raises:
        PictureNotFoundError: there is no such file, or it cannot be read.
        PermissionError: it may not be read.
        NotVaecodecFileError: no kind of source, or a file of text.
    """
    if isinstance(source, bytes):
        return source
    if isinstance(source, (bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, (str, os.PathLike)):
        path = path_of(source)
        try:
            with opened(path) as file:
                return bytes_of_file(file, str(path))
        except PermissionError:
            raise
        except OSError as error:
            raise PictureNotFoundError(f"{path}: cannot be read: {error.strerror}") from error
    if hasattr(source, "read"):
        name = str(getattr(source, "name", "the file"))
        try:
            data: object = bytes_of_file(source, name)
        except (OSError, ValueError) as error:
            raise PictureNotFoundError(f"{name}: cannot be read: {error}") from error
        if isinstance(data, bytes):
            return data
        raise NotVaecodecFileError(f"a file of {type(data).__name__} is none of ours: open it as binary")
    raise NotVaecodecFileError(f"a {type(source).__name__} is no file: give bytes, a path or a binary file")


def bytes_of_file(file: BinaryIO, name: str) -> bytes:
    """All of an open file; of one that may have no end not a byte after a beginning that is not ours.

    Raises:
        NotVaecodecFileError, LimitError: it may have no end, and is not ours, or larger than 2 GiB.
        OSError, ValueError: as the file says.
    """
    if has_end(file):
        return file.read()
    first = file.read(len(_MAGIC))
    if isinstance(first, bytes) and first and not _MAGIC.startswith(first):
        raise NotVaecodecFileError(f"{name}: not a .vaec file")
    more = taken_in(file, name, _MOST_BYTES, "a file of ours that is larger is read from a disk only")
    return first + more.getvalue()


def has_end(file: BinaryIO) -> bool:
    """Whether a file is known to have an end: one on a disk, or one that can seek and is none of the system's."""
    try:
        mode = os.fstat(file.fileno()).st_mode
    except (AttributeError, OSError, ValueError):
        seekable = getattr(file, "seekable", None)
        return seekable is None or bool(seekable())
    return stat.S_ISREG(mode) or stat.S_ISBLK(mode)


def taken_in(
    file: BinaryIO, name: str, most: int, why: str, *, is_wanted: Callable[[bytes], bool] | None = None
) -> io.BytesIO:
    """All of a pipe or a device, which may have no end, up to so many bytes; no more than its beginning if that is not wanted.

    Raises:
        LimitError: there are more; ``why`` says why so many are not taken.
    """
    whole, size = io.BytesIO(), 0
    while block := file.read(min(_BLOCK, most + 1 - size)):
        size += whole.write(block)
        if is_wanted is not None and size >= _BEGINNING:
            # Unbuffered files give a few bytes at a time.
            if not is_wanted(whole.getvalue()):
                break
            is_wanted = None
        if size > most:
            raise LimitError(f"{name}: more than {most} bytes, and no end: {why}")
    whole.seek(0)
    return whole


def opened(path: Path) -> BinaryIO:
    """A file, open for reading.

    Raises:
        PictureNotFoundError: there is no such file, or it cannot be opened.
        PermissionError: it may not be read.
    """
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise PictureNotFoundError(f"{path}: no such file") from error
    except OSError as error:
        # Windows says that a folder may not be read; it is no file.
        if isinstance(error, PermissionError) and not path.is_dir():
            raise
        raise PictureNotFoundError(f"{path}: cannot be opened: {error.strerror}") from error


def path_of(source: str | os.PathLike[str] | os.PathLike[bytes]) -> Path:
    """Any path as a `Path`.

    Raises:
        PictureNotFoundError: no file can have this name.
    """
    name = os.fsdecode(source)
    if "\0" in name:
        raise PictureNotFoundError(f"{name!r}: no such file: a name has no zero byte")
    return Path(name)
