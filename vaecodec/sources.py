"""Bytes of a file of ours, from wherever a caller has them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from vaecodec.errors import NotVaecodecFileError, PictureNotFoundError

FileSource = bytes | bytearray | memoryview | str | os.PathLike[str] | os.PathLike[bytes] | BinaryIO
"""A file in memory, a path, or a binary file that is read from where it stands."""


def bytes_of(source: FileSource) -> bytes:
    """The bytes of a file.

    Raises:
        PictureNotFoundError: there is no such file, or it may not be read.
        NotVaecodecFileError: no kind of source, or a file of text.
    """
    if isinstance(source, bytes):
        return source
    if isinstance(source, (bytearray, memoryview)):
        return bytes(source)
    if isinstance(source, (str, os.PathLike)):
        path = path_of(source)
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise PictureNotFoundError(f"{path}: no such file") from error
        except OSError as error:
            raise PictureNotFoundError(f"{path}: cannot be opened: {error.strerror}") from error
    if hasattr(source, "read"):
        data = source.read()
        if isinstance(data, bytes):
            return data
        raise NotVaecodecFileError(f"a file of {type(data).__name__} is none of ours: open it as binary")
    raise NotVaecodecFileError(f"a {type(source).__name__} is no file: give bytes, a path or a binary file")


def opened(path: Path) -> BinaryIO:
    """A file, open for reading.

    Raises:
        PictureNotFoundError: there is no such file, or it may not be read.
    """
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise PictureNotFoundError(f"{path}: no such file") from error
    except OSError as error:
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
