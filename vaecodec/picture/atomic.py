"""Writes a file so that it appears whole or not at all, and never over another one unasked."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from vaecodec.errors import OutputExistsError, UsageError

Writer = Callable[[BinaryIO], None]

# Errors by which a file system says that it has no hard links.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def write_atomically(
    path: str | Path, data: bytes | Writer, *, overwrite: bool = False, times_from: str | Path | None = None
) -> None:
    """Writes to a temporary file in the same folder, then gives it its name.

    Whatever goes wrong, an interrupt included, the temporary file is removed and the output is as it was. Permissions are
    those of the umask. A link is followed. A device or pipe is written to directly: it has no content to protect.

    Args:
        path: the output.
        data: the bytes, or a function that writes them to the binary file it is given.
        overwrite: whether an existing output may be replaced.
        times_from: a file whose time stamps the output takes over.

    Raises:
        OutputExistsError: the output exists and overwrite is False; also if it appeared while data was being written.
        UsageError: the output is a folder, or its folder does not exist.
        OSError: as the operating system says.
    """
    path = Path(path)
    target = path.resolve() if path.is_symlink() else path
    if _is_special(target):
        with target.open("wb") as file:
            _write(file, data)
        return
    check_output(path, overwrite=overwrite)

    temporary = target.parent / f".vaecodec-{secrets.token_hex(8)}.part"
    try:
        with temporary.open("xb") as file:
            _write(file, data)
            file.flush()
            os.fsync(file.fileno())
        if times_from is not None:
            times = Path(times_from).stat()
            os.utime(temporary, ns=(times.st_atime_ns, times.st_mtime_ns))
        if overwrite:
            temporary.replace(target)
        else:
            _rename_without_replacing(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_output(path: str | Path, *, overwrite: bool) -> None:
    """Says early what `write_atomically` would say after the work is done.

    Raises:
        OutputExistsError: the output exists and overwrite is False.
        UsageError: the output is a folder, or its folder does not exist.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"{path}: is a folder: name a file")
    if _is_special(path):
        return
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent}: no such folder: make it first")
    if not overwrite and os.path.lexists(path):
        raise _exists(path)


def _exists(path: Path) -> OutputExistsError:
    return OutputExistsError(f"{path}: exists already, not overwritten: use -f to overwrite it")


def _is_special(path: Path) -> bool:
    """Tells whether the path is a device, a pipe or a socket."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _write(file: BinaryIO, data: bytes | Writer) -> None:
    if callable(data):
        data(file)
    else:
        file.write(data)


def _rename_without_replacing(source: Path, target: Path) -> None:
    """Gives a file its final name in one step that fails if the name is taken."""
    try:
        target.hardlink_to(source)
    except FileExistsError as error:
        raise _exists(target) from error
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LINKS:
            raise
        # No hard links here (FAT, some network folders): look, then rename.
        if os.path.lexists(target):
            raise _exists(target) from None
        source.rename(target)
        return
    with contextlib.suppress(FileNotFoundError):
        source.unlink()
