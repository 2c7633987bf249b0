"""Inputs and outputs. Follows zstd's conventions: output names derive from input names, ``-`` is a pipe, nothing is overwritten unasked."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image

from vaecodec.atomic import Writer, check_output, missing_folders, remove_empty, write_atomically
from vaecodec.cli.failures import shown
from vaecodec.errors import PictureNotFoundError, UsageError
from vaecodec.sources import bytes_of_file

PIPE = "-"
_made: list[Path] = []
"""Folders for outputs that were not there."""


def plan_outputs(
    inputs: Sequence[str], output: str | None, name_for: Callable[[Path], str], *, force: bool
) -> dict[str, str]:
    """Decides where the result of every input goes.

    Args:
        inputs: paths, or PIPE.
        output: as given by ``-o``: a file, a folder that exists or that ends in a slash and is made, PIPE, or None for names
            that follow from the inputs.
        name_for: the name of an output, without its folder, for an input.
        force: whether outputs may be overwritten.

    Returns:
        For every input a path or PIPE.

    Raises:
        UsageError: several inputs for one output; an output that is its own input.
    """
    for source in inputs:
        if source != PIPE and is_folder(source):
            raise UsageError(f"{shown(source)}: is a folder: use -r for what is in it")
    if len(inputs) != len(set(inputs)):
        raise UsageError("an input is named twice: name it once")
    folder = output_folder(output)
    if len(inputs) > 1 and output == PIPE:
        raise UsageError("several inputs do not go into one pipe: name a folder with -o folder/")
    if len(inputs) > 1 and output is not None and folder is None:
        raise UsageError(f"{output}: several inputs need a folder for their outputs: -o {output}/ makes it")
    plan: dict[str, str] = {}
    for source in inputs:
        if folder is not None:
            if source == PIPE:
                raise UsageError(f"{folder}: is a folder, and what comes from a pipe has no name: name a file")
            target = str(folder / name_for(Path(source)))
        elif output is not None or source == PIPE:
            target = output if output is not None else PIPE
        else:
            target = str(Path(source).with_name(name_for(Path(source))))
        if target != PIPE and target in plan.values():
            raise UsageError(f"{shown(target)}: two inputs have this output: do one at a time, each with its own -o")
        if PIPE not in (source, target) and _same_file(source, target):
            raise UsageError(f"{shown(source)}: is its own output: name another one with -o")
        plan[source] = target
    if PIPE in plan:
        _check_standard_input()
    if PIPE in plan.values() and sys.stdout is None:
        raise UsageError("standard output is closed: name a file with -o")
    if PIPE in plan.values() and not force and sys.stdout.isatty():
        raise UsageError("the output would go to the terminal: name a file with -o, or use -f to send it there")
    return plan


def check_second(first: str, second: str) -> None:
    """Asks about the second of two names where it is a folder's, and the first a file's: ``cp`` takes it for the output.

    Raises:
        UsageError: it is.
    """
    folder = second if second.endswith(("/", os.sep)) else f"{second}/"
    if not is_folder(first) and is_there(first) and (is_folder(second) or folder == second):
        raise UsageError(f"{shown(second)}: is a folder: is it where the output goes? Then say -o {shown(folder)}")


def output_folder(output: str | None) -> Path | None:
    """The folder that ``-o`` names, made if its name ends in a slash; None for a file.

    Raises:
        UsageError: it ends in a slash, and is a file.
    """
    if output is None or output == PIPE:
        return None
    path = Path(output)
    if output.endswith(("/", os.sep)):
        if path.exists() and not path.is_dir():
            raise UsageError(f"{shown(output)}: exists and is not a folder: name another one")
        make_folder(path)
    return path if path.is_dir() else None


def make_folder(path: Path) -> None:
    """Makes a folder for outputs, if need be with those it lies in."""
    _made.extend(missing_folders(path))
    path.mkdir(parents=True, exist_ok=True)


def remove_empty_folders() -> None:
    """Of those that this run made: a run that failed leaves none behind."""
    remove_empty(_made)
    _made.clear()


def lift_pillow_limit(pixels: int | None) -> None:
    """Lets Pillow decode as many pixels as were allowed; by itself it refuses more than its own limit, whoever asks."""
    if pixels is not None and Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, pixels)


def is_stream(source: str) -> bool:
    """Whether what is there can be read once only: standard input, a named pipe, a terminal."""
    if source == PIPE:
        return True
    try:
        mode = Path(source).stat().st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode) and not stat.S_ISBLK(mode)


def read_input(source: str) -> bytes:
    """Reads a file of ours, or standard input for PIPE.

    Raises:
        PictureNotFoundError: there is no such file.
        NotVaecodecFileError, LimitError: a pipe or a device holds something else, or has no end.
        OSError: as the operating system says.
    """
    if source == PIPE:
        _check_standard_input()
        return bytes_of_file(sys.stdin.buffer, "the data")
    check_source(source)
    try:
        with Path(source).open("rb") as file:
            return bytes_of_file(file, shown(source))
    except IsADirectoryError as error:
        raise UsageError(f"{shown(source)}: is a folder: name a file in it") from error
    except FileNotFoundError as error:
        raise PictureNotFoundError(f"{shown(source)}: no such file") from error
    except ValueError as error:
        raise UsageError(f"{source!r}: not a path: {error}") from error


def _check_standard_input() -> None:
    if sys.stdin is None:
        raise UsageError("standard input is closed: name a file")


def read_picture_stream(source: str, max_pixels: int | None) -> bytes:
    """Reads what can be read once only, no more of it than a picture of so many pixels, or of the usual limit, can take.

    Raises:
        LimitError: there is more.
        OSError: as the operating system says.
    """
    from vaecodec.picture.read import DEFAULT_MAX_PIXELS, picture_of_stream

    most = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
    if source == PIPE:
        return picture_of_stream(sys.stdin.buffer, "the data", most).getvalue()
    with Path(source).open("rb") as file:
        return picture_of_stream(file, source, most).getvalue()


def is_missing(source: str) -> bool:
    """Whether there is nothing of this name; what cannot be a name is another error.

    Raises:
        PermissionError: a folder on the way may not be searched.
    """
    if source == PIPE or "\0" in source:
        return False
    try:
        os.lstat(source)
    except PermissionError:
        raise
    except OSError:
        return True
    return False


def is_there(name: str) -> bool:
    """As `Path.exists`, which in some versions of Python raises where a folder on the way may not be searched.

    That is a failure of one input, told when its turn comes.
    """
    return os.path.exists(name)  # noqa: PTH110


def is_folder(name: str | Path) -> bool:
    """As `Path.is_dir`, without an error for the same reason."""
    return os.path.isdir(name)  # noqa: PTH112


def check_source(source: str) -> None:
    """Says early, and before anything about the output, that there is no input.

    Raises:
        PictureNotFoundError: there is no such file.
        PermissionError: a folder on the way may not be searched.
    """
    if is_missing(source):
        raise PictureNotFoundError(f"{shown(source)}: no such file")


def check_target(target: str, *, force: bool) -> None:
    """Refuses an output that cannot be written before any work is done for it."""
    if target != PIPE:
        check_output(target, overwrite=force)


def check_replaceable(target: str) -> None:
    """Where an output is overwritten unasked, an input may have been meant: only a PNG or an empty file may lie there.

    Raises:
        UsageError: there is another file.
    """
    magic = b"\x89PNG"
    if is_stream(target):
        return
    with suppress(OSError, ValueError), Path(target).open("rb") as file:
        if file.read(len(magic)) not in (b"", magic):
            raise UsageError(f"{shown(target)}: exists and is no PNG, so it stays: name another output")


def write_output(target: str, data: bytes | Writer, *, source: str, force: bool) -> None:
    """Writes bytes, or what a function writes: whole or not at all and with the time stamps of its source, or to standard output for PIPE."""
    if target == PIPE:
        if callable(data):
            data(sys.stdout.buffer)
        else:
            sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    else:
        write_atomically(target, data, overwrite=force, times_from=None if is_stream(source) else source)


def _same_file(source: str, target: str) -> bool:
    try:
        return Path(source).samefile(target) and not Path(target).is_char_device()
    except OSError:
        return False
