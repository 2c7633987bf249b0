"""Writes a file so that it appears whole or not at all, and never over another one unasked."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vaecodec.errors import OutputExistsError, UsageError

Writer = Callable[[BinaryIO], None]

_unfinished: set[Path] = set()
"""Names that temporary files have or may get."""

# Where Linux lists the open files of this process.
_OPEN_FILES = "/proc/self/fd"
_SCRATCH_ENDING = ".part"
# Errors by which a file system says that it has no hard links.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def write_atomically(
    path: str | Path, data: bytes | Writer, *, overwrite: bool = False, times_from: str | Path | None = None
) -> None:
    """Writes to a temporary file in the same folder, then gives it its name.

    Whatever goes wrong, an interrupt included, the temporary file is removed and the output is as it was; on Linux it has no name
    before it is whole, so that nothing is left of a process that is killed either. Permissions are those of the umask. A link is followed. A device or pipe is written to directly: it has no content to protect.

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
    try:
        # Before links are followed: those of /proc lead to what has no name.
        if _is_special(path):
            with path.open("wb") as file:
                _write(file, data)
            return
        target = path.resolve() if path.is_symlink() else path
        check_output(path, overwrite=overwrite)
        _write_whole(target, data, overwrite=overwrite, times_from=times_from)
    except OSError as error:
        # A full disk is reported without a name, a folder that may not be written with that of the temporary file.
        if error.errno is not None and (error.filename is None or str(error.filename).endswith(_SCRATCH_ENDING)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _write_whole(target: Path, data: bytes | Writer, *, overwrite: bool, times_from: str | Path | None) -> None:
    with _scratch(target.parent) as scratch:
        _write(scratch.file, data)
        scratch.file.flush()
        os.fsync(scratch.file.fileno())
        if times_from is not None:
            times = Path(times_from).stat()
            os.utime(
                scratch.file.fileno() if os.utime in os.supports_fd else scratch.path,
                ns=(times.st_atime_ns, times.st_mtime_ns),
            )
        scratch.become(target, overwrite=overwrite)


def missing_folders(path: Path) -> list[Path]:
    """A folder and those it lies in, as far as they are not there, the innermost first."""
    return [one for one in (path, *path.parents) if not one.exists()]


def remove_empty(folders: Iterable[Path]) -> None:
    """Removes those of the folders that nothing lies in."""
    for folder in sorted(folders, key=lambda one: len(one.parts), reverse=True):
        with contextlib.suppress(OSError):
            folder.rmdir()


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[None]:
    """Makes a folder, if need be with those it lies in; where the block fails or is interrupted, none of them is left empty."""
    missing = missing_folders(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        remove_empty(missing)
        raise


def check_output(path: str | Path, *, overwrite: bool) -> None:
    """Says early what `write_atomically` would say after the work is done.

    Raises:
        OutputExistsError: the output exists and overwrite is False.
        UsageError: the output is a folder, or its folder does not exist.
        OSError: nothing may be written in its folder, or to its file system.
    """
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"{path}: is a folder: name a file")
    if _is_special(path):
        return
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent}: no such folder: make it first, or check the path")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        number = errno.EROFS if _is_read_only(path.parent) else errno.EACCES
        raise OSError(number, os.strerror(number), str(path))
    if not overwrite and os.path.lexists(path):
        raise _exists(path)


def _is_read_only(folder: Path) -> bool:
    """Whether the file system is one that nobody may write to."""
    return hasattr(os, "statvfs") and bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def _exists(path: Path) -> OutputExistsError:
    return OutputExistsError(f"{path}: exists already, not overwritten")


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


@dataclass
class _Scratch:
    """A new file that has no name yet, or one that nobody looks for."""

    file: BinaryIO
    path: Path
    """A name that it has or will have on the way."""
    named: bool

    def become(self, target: Path, *, overwrite: bool) -> None:
        """Gives the file its final name, in one step that fails if the name is taken unless ``overwrite``."""
        if not self.named and not self._link_nameless(self.path if overwrite else target):
            self._copy_to_name()
        if self.named:
            # Windows renames only what is closed.
            self.file.close()
            self._rename(target, overwrite=overwrite)

    def _rename(self, target: Path, *, overwrite: bool) -> None:
        if overwrite:
            self.path.replace(target)
            return
        try:
            target.hardlink_to(self.path)
        except FileExistsError as error:
            raise _exists(target) from error
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and error.errno not in _NO_LINKS:
                raise
            # No hard links here (FAT, some network folders): look, then rename.
            if os.path.lexists(target):
                raise _exists(target) from None
            self.path.rename(target)

    def _link_nameless(self, name: Path) -> bool:
        """Gives a file without a name one that must not be taken; False where the system does not let us."""
        number = self.file.fileno()
        try:
            # linkat(2) follows the link of /proc only when it is given a folder, which an absolute path then ignores.
            os.link(f"{_OPEN_FILES}/{number}", name, src_dir_fd=number, follow_symlinks=True)
        except FileExistsError as error:
            raise _exists(name) from error
        except OSError:
            return False
        self.named = name == self.path
        return True

    def _copy_to_name(self) -> None:
        import shutil

        times = os.fstat(self.file.fileno())
        with self.path.open("xb") as named:
            self.named = True
            self.file.seek(0)
            shutil.copyfileobj(self.file, named)
            named.flush()
            os.fsync(named.fileno())
        os.utime(self.path, ns=(times.st_atime_ns, times.st_mtime_ns))


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[_Scratch]:
    """A new file in ``folder``: without a name on Linux, so that nothing is left of a process that is killed; nothing is left of it in any case."""
    path = folder / f".vaecodec-{os.urandom(8).hex()}{_SCRATCH_ENDING}"
    _unfinished.add(path)
    try:
        nameless = _open_nameless(path)
        scratch = _Scratch(path.open("xb") if nameless is None else nameless, path, named=nameless is None)
        try:
            yield scratch
        finally:
            scratch.file.close()
            if scratch.named:
                path.unlink(missing_ok=True)
    finally:
        _unfinished.discard(path)


def remove_unfinished() -> None:
    """Removes all temporary files of a process that ends without unwinding its stack."""
    for path in list(_unfinished):
        with contextlib.suppress(OSError):
            path.unlink()


def _open_nameless(path: Path) -> BinaryIO | None:
    """A file in the folder of ``path`` that has no name there (open(2), O_TMPFILE), or None where the system or the file system has none.

    Its attribute ``name`` is ``path``, not a number: writers of formats take names apart.
    """
    flag = getattr(os, "O_TMPFILE", None)
    if flag is None or not Path(_OPEN_FILES).is_dir():
        return None
    try:
        return open(path, "w+b", opener=lambda *_: os.open(path.parent, os.O_RDWR | flag | os.O_CLOEXEC, 0o666))
    except OSError:
        # As with a name, which then says what is wrong if anything is.
        return None
