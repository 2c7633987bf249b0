"""How failures are reported to the caller: one line on standard error, and an exit code."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import click

from vaecodec.cli.progress import Progress
from vaecodec.errors import (
    AnimatedPictureError,
    BitDepthError,
    FileFormatError,
    LimitError,
    MissingExtraError,
    NotVaecodecFileError,
    OutputExistsError,
    PictureError,
    PictureNotFoundError,
    RegionError,
    TargetError,
    UnknownModelError,
    VaecodecError,
)

SOME_FAILED = 1

_EXTENSION = ".vaec"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# Errors about what is in an input. The library may have seen only its bytes, and then cannot name it.
_ABOUT_THE_INPUT = (
    FileFormatError, PictureError, LimitError, UnknownModelError, RegionError, TargetError, MissingExtraError,
)  # fmt: skip

_WHAT_HELPS = {
    errno.ENOSPC: ": free some, or write to another disk{option}",
    errno.EDQUOT: ": free some, or write to another disk{option}",
    errno.EROFS: ": write to another folder{option}",
    errno.ENAMETOOLONG: ": give it a shorter name{option}",
    errno.EACCES: ": check its permissions and those of its folder",
    errno.EPERM: ": check its permissions and those of its folder",
}

_OPTIONS: tuple[tuple[type[VaecodecError], str], ...] = (
    (AnimatedPictureError, " (--first-frame)"),
    (BitDepthError, " (--to-8-bit)"),
    (OutputExistsError, ": use -f to overwrite it"),
    (UnknownModelError, " (--model)"),
    (NotVaecodecFileError, ": 'vaecodec compress' makes one of a picture"),
    (LimitError, " (--limit)"),
)


_asked = {"-o"}
"""Options of the command that runs; workers are only of commands that have this one."""


def remember_options(command: click.Command) -> None:
    """Notes which options the command has, for advice that names one."""
    _asked.clear()
    _asked.update(name for parameter in command.params for name in parameter.opts)


def say(message: object) -> None:
    """Prints one line on standard error; where that is full or gone the exit code has to do."""
    with suppress(OSError):
        click.echo(f"vaecodec: {printable(_line(message))}", err=True)


def printable(text: str) -> str:
    """The text with its control characters as escapes: names of files may hold line breaks and what terminals obey."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


def exit_code(error: BaseException) -> int:
    """Returns the exit code for an error: its own, that of a limit for memory, 1 for what the operating system refuses."""
    if isinstance(error, VaecodecError):
        return error.exit_code
    return LimitError.exit_code if isinstance(error, MemoryError) else SOME_FAILED


def for_each(inputs: Sequence[str], job: Callable[[str], None], *, progress: Progress) -> None:
    """Runs a job for every input; one that fails is reported and does not keep the others from theirs.

    Raises:
        click.exceptions.Exit: something failed: with the error's own code if there was one input, else with 1.
    """
    codes = []
    for number, source in enumerate(inputs, 1):
        progress.show(number - 1, source)
        try:
            with progress.ticking():
                job(source)
        except BrokenPipeError:
            raise
        except (VaecodecError, OSError, MemoryError) as error:
            progress.clear()
            say(message_about(source, error))
            codes.append(exit_code(error))
    progress.clear()
    if codes:
        raise click.exceptions.Exit(codes[0] if len(inputs) == 1 else SOME_FAILED)


def message_about(source: str, error: BaseException, target: str = "") -> str:
    """Returns one line about an error that names the input where the error does not, and says what helps."""
    named, source, target = _text_of(source), shown(source), shown(target)
    where = source if not target else f"{source} -> {target}" if target != "-" else f"{source} -> standard output"
    if isinstance(error, PictureNotFoundError) and target and str(error).startswith(f"{source}: "):
        # What is not there any more is said as what cannot be written is.
        return f"{where}{_text_of(error).removeprefix(source)}{_where_a_link_leads(named)}"
    if isinstance(error, VaecodecError):
        text = _text_of(error)
        if source != named and source not in text:
            text = text.replace(named, source)
        if isinstance(error, _ABOUT_THE_INPUT) and named not in text:
            text = f"{source}: {text.removeprefix('the data: ')}"
        return f"{text}{_advice(error, named)}"
    if _is_of_standard_output(error) and target != "-":
        return _line(error)
    if isinstance(error, OSError) and error.strerror:
        if _is_about_another(error, named, target):
            where = shown(str(error.filename))
        elif error.filename == named and error.errno in (errno.EACCES, errno.EPERM):
            where = source
        return f"{where}: {error.strerror.lower()}{_what_helps(error)}"
    if isinstance(error, (OSError, MemoryError)):
        return f"{where}: {_line(error)}"
    return f"{where}: an error that should not be, please report it: {type(error).__name__}: {_line(error)}"


def _what_helps(error: OSError) -> str:
    """Advice, with the option that the command has for it."""
    option = next((f" with {name}" for name in ("-o", "--folder") if name in _asked), "")
    return _WHAT_HELPS.get(error.errno or 0, "").format(option=option)


def _is_about_another(error: OSError, source: str, target: str) -> bool:
    """Whether an error names a file that is neither the input nor the output, nor a folder of the output."""
    if not isinstance(error.filename, str):
        return False
    return Path(error.filename) not in (Path(source), Path(target), *Path(target).parents)


def shown(name: str) -> str:
    """A name as it is printed: quoted where it has a newline or another character that would move the cursor."""
    return name if name.isprintable() else repr(name)


def _advice(error: BaseException, source: str = "") -> str:
    """What the command has for a case: the library, which others call too, does not know its options."""
    if isinstance(error, PictureNotFoundError) and source:
        return _similar_names(source)
    if isinstance(error, LimitError) and "raise the limit" not in str(error):
        return ""
    return next((hint for kind, hint in _OPTIONS if isinstance(error, kind)), "")


def _similar_names(source: str) -> str:
    """What may have been meant by a name that is not there: of the files that the command takes, if there is one."""
    from difflib import get_close_matches

    if "://" in source:
        return ": this is a URL, download it first"
    if any(mark in source for mark in "*?["):
        return ": nothing matches this pattern"
    path = Path(source)
    if link := _where_a_link_leads(source):
        return link
    try:
        names = [other.name for other in path.parent.iterdir()]
    except (OSError, ValueError):
        return ": check the path"
    context = click.get_current_context(silent=True)
    compressing = context is None or context.info_name == "compress"
    fitting = [name for name in names if (Path(name).suffix.lower() == _EXTENSION) != compressing]
    found = get_close_matches(path.name, fitting, n=1) or get_close_matches(path.name, names, n=1)
    return f": did you mean {shown(str(path.with_name(found[0])))}?" if found else ": check the path"


def _where_a_link_leads(source: str) -> str:
    """Of a link whose target is missing; empty for any other name."""
    # `Path.is_symlink` raises where a folder on the way may not be searched.
    if not os.path.islink(source):  # noqa: PTH114
        return ""
    return f": it is a link to {shown(str(Path(source).readlink()))}, which is not there"


def _is_of_standard_output(error: object) -> bool:
    """Whether a disk is full that is no file's: all writing to files names them."""
    return isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None


def _line(message: object) -> str:
    if isinstance(message, VaecodecError):
        return _text_of(message) + _advice(message)
    if _is_of_standard_output(message):
        return "standard output: no space left on device"
    if isinstance(message, OSError) and message.strerror:
        where = f"{shown(str(message.filename))}: " if message.filename else ""
        return f"{where}{message.strerror.lower()}{_what_helps(message)}"
    if isinstance(message, MemoryError):
        return "not enough memory for this picture: scale it down"
    return _text_of(message)


def _text_of(message: object) -> str:
    """One line, with the control characters of names in it escaped."""
    text = str(message).strip()
    if isinstance(message, (VaecodecError, str)):
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
    return " ".join(text.split())
