"""The command ``vaecodec``: every command is a module here that parses, calls the library and prints.

A command is imported when it is called for, and imports what it computes with when it runs: ``vaecodec --help`` answers at once.
"""

from __future__ import annotations

import errno
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from vaecodec.cli.failures import exit_code, say, shown
from vaecodec.cli.help import write_examples, write_sections
from vaecodec.cli.signals import as_exceptions, interrupted
from vaecodec.errors import MissingExtraError, VaecodecError
from vaecodec.interrupt import INTERRUPTED
from vaecodec.version import RELEASED, __version__

# As the help has them.
_SECTIONS = {
    "Pictures": ("compress", "decompress", "info"),
    "Comparison": ("demo", "evaluate"),
    "Desktop": ("desktop", "thumbnail"),
    "Models": ("models", "train", "sample", "latents"),
}
COMMANDS = tuple(name for names in _SECTIONS.values() for name in names)

EXAMPLES = """
vaecodec compress holiday.jpg          # makes holiday.vaec
vaecodec decompress holiday.vaec       # makes holiday.png
vaecodec compress holiday.jpg --size 100kB -o small.vaec
""".strip()
_EXIT_CODES = (
    ("0", "done"),
    ("1", "some inputs failed, a target cannot be reached, or the system refused something"),
    ("2", "wrong usage, or an output exists"),
    ("3", "an input is not a picture or file of ours, or it is damaged"),
    ("4", "a model is missing or cannot be used"),
    ("5", "a limit is exceeded"),
    ("6", "an optional package is missing"),
    ("130", "interrupted"),
)
_COMPLETION = (
    'eval "$(_VAECODEC_COMPLETE=bash_source vaecodec)" in ~/.bashrc; zsh_source and fish_source for those shells.'
)


class _Commands(click.Group):
    """Finds a command in the module of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"vaecodec.cli.{cmd_name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command; says what may have been meant where there is none."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            if Path(name).is_file():
                meant = f" To compress a picture, type 'vaecodec compress {shown(name)}'"
            else:
                from difflib import get_close_matches

                found = get_close_matches(name, COMMANDS, n=1)
                meant = f" Did you mean {found[0]!r}?" if found else ""
            ctx.fail(f"No such command {name!r}.{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the commands under titles, one line each."""
        sections = {
            title: [(name, _found(self.get_command(ctx, name)).get_short_help_str()) for name in names]
            for title, names in _SECTIONS.items()
        }
        write_sections(formatter, sections)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes examples, exit codes and how to have names completed."""
        write_examples(formatter, EXAMPLES)
        write_sections(formatter, {"Exit codes": _EXIT_CODES})
        with formatter.section("Completion"):
            formatter.write_text(_COMPLETION)
        super().format_epilog(ctx, formatter)


def _found(command: click.Command | None) -> click.Command:
    assert command is not None  # each has a module
    return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="'vaecodec COMMAND --help' lists a command's options, with examples.",
)
@click.version_option(
    __version__, "-V", "--version", prog_name="vaecodec",
    message="%(prog)s %(version)s" + ("" if RELEASED else " (unreleased)"),
)  # fmt: skip
def vaecodec() -> None:
    """Compress photographs into small files that decode to the same picture on every machine."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: those after the program's name; by default the process's own.

    Returns:
        The exit code, as ``_EXIT_CODES`` lists them.
    """
    # What it has to say about a damaged file is said in our one line.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    if sys.stderr is None:
        # Closed, as some daemons start programs: what would be said there is lost, and nothing else.
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    with warnings.catch_warnings(), as_exceptions():
        if not sys.warnoptions:
            # Warnings of libraries are for programmers; what a user has to know is an error or a line of our own.
            warnings.simplefilter("ignore")
        code = 1
        try:
            code = _run(arguments)
        finally:
            files = sys.modules.get("vaecodec.cli.files")
            if code and files is not None:
                files.remove_empty_folders()
        return code


def _command_of(error: click.UsageError, arguments: Sequence[str] | None) -> str:
    """The command that a mistake was made in; click's parser does not always say."""
    if error.ctx is not None:
        return error.ctx.command_path
    typed = sys.argv[1:] if arguments is None else arguments
    return " ".join(["vaecodec", *typed[:1]]) if typed and typed[0] in COMMANDS else "vaecodec"


def _dashed_file(arguments: Sequence[str] | None) -> str | None:
    """A file among the arguments whose name begins with a dash."""
    typed = sys.argv[1:] if arguments is None else arguments
    return next((name for name in typed if name.startswith("-") and os.path.lexists(name)), None)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        result: Any = vaecodec.main(
            args=None if arguments is None else list(arguments), prog_name="vaecodec", standalone_mode=False
        )
    except click.UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
        elif isinstance(error, click.NoSuchOption) and (name := _dashed_file(arguments)):
            say(f"{shown(name)}: begins with a dash as options do: say .{os.sep}{shown(name)}")
        else:
            say(f"{error.format_message().rstrip('.')}: see '{_command_of(error, arguments)} --help'")
        return error.exit_code
    except click.ClickException as error:
        say(error.format_message())
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        return INTERRUPTED
    except (VaecodecError, OSError, MemoryError) as error:
        if isinstance(error, OSError) and error.errno == errno.EPIPE:
            return 1
        say(error)
        return exit_code(error)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        say("this needs torch: pip install 'vaecodec[torch]'")
        return MissingExtraError.exit_code
    except Exception:
        if not interrupted():
            raise
        say("interrupted")
        return INTERRUPTED
    return result if isinstance(result, int) else 0
