"""How failures are reported to the caller: one line on standard error, and an exit code."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import click

from vaecodec.cli.progress import Progress
from vaecodec.errors import (
    AnimatedPictureError,
    BitDepthError,
    FileFormatError,
    LimitError,
    OutputExistsError,
    PictureError,
    PictureNotFoundError,
    UnknownModelError,
    VaecodecError,
)

SOME_FAILED = 1

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

# Errors about what is in an input. The library may have seen only its bytes, and then cannot name it.
_ABOUT_THE_INPUT = (FileFormatError, PictureError, LimitError, UnknownModelError)

_OPTIONS: tuple[tuple[type[VaecodecError], str], ...] = (
    (AnimatedPictureError, " (--first-frame)"),
    (BitDepthError, " (--to-8-bit)"),
    (OutputExistsError, ": use -f to overwrite it"),
    (UnknownModelError, " (--model)"),
    (LimitError, " (--limit)"),
)


def say(message: object) -> None:
    """Prints one line on standard error."""
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
    """Returns one line about an error that names the input where the error does not, and the option that helps."""
    where = f"{source} -> {target}" if target and target != "-" else source
    if isinstance(error, PictureNotFoundError) and str(error).startswith(f"{source}: "):
        # What is not there, or no longer, is said as what cannot be written is.
        return _line(f"{where}{str(error).removeprefix(source)}")
    if isinstance(error, _ABOUT_THE_INPUT) and source not in str(error):
        return _line(f"{source}: {str(error).removeprefix('the data: ')}{_option_for(error)}")
    if isinstance(error, VaecodecError):
        return _line(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{where}: {error.strerror.lower()}"
    if isinstance(error, (OSError, MemoryError)):
        return f"{where}: {_line(error)}"
    return f"{where}: an error that should not be, please report it: {type(error).__name__}: {_line(error)}"


def _option_for(error: BaseException) -> str:
    """What the command has for a case: the library, which others call too, does not know its options."""
    hint = next((hint for kind, hint in _OPTIONS if isinstance(error, kind)), "")
    return "" if isinstance(error, LimitError) and "raise the limit" not in str(error) else hint


def _line(message: object) -> str:
    if isinstance(message, VaecodecError):
        return " ".join(str(message).split()) + _option_for(message)
    if isinstance(message, OSError) and message.strerror:
        where = f"{message.filename}: " if message.filename else ""
        return f"{where}{message.strerror.lower()}"
    if isinstance(message, MemoryError):
        return "not enough memory for this picture: scale it down"
    return " ".join(str(message).split())
