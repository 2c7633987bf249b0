"""The command ``vaecodec``: every command is a module here that parses, calls the library and prints.

A command is imported when it is called for, and imports what it computes with when it runs: ``vaecodec --help`` answers at once.
"""

from __future__ import annotations

import errno
import importlib
import logging
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import click

from vaecodec.cli.failures import exit_code, say
from vaecodec.cli.signals import INTERRUPTED, as_exceptions
from vaecodec.errors import MissingExtraError, VaecodecError
from vaecodec.version import __version__

# In the order in which the help names them.
COMMANDS = (
    "compress", "decompress", "info", "evaluate", "train", "sample", "latents", "models", "demo",
)  # fmt: skip


class _Commands(click.Group):
    """Finds a command in the module of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"vaecodec.cli.{cmd_name.replace('-', '_')}").command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vaecodec", message="%(prog)s %(version)s")
def vaecodec() -> None:
    """Make small files of photographs, which become the same picture on every machine."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        arguments: those after the program's name; by default the process's own.

    Returns:
        The exit code: 0 done; 1 some inputs failed, or the operating system refused something; 2 wrong usage; 3 the input is not
        a picture or file of ours, or damaged; 4 weights missing or unusable; 5 a limit is exceeded.
    """
    # What it has to say about a damaged file is said in our one line.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    with warnings.catch_warnings(), as_exceptions():
        if not sys.warnoptions:
            # Warnings of libraries are for programmers; what a user has to know is an error or a line of our own.
            warnings.simplefilter("ignore")
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        result: Any = vaecodec.main(
            args=None if arguments is None else list(arguments), prog_name="vaecodec", standalone_mode=False
        )
    except click.UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
        else:
            command = error.ctx.command_path if error.ctx is not None else "vaecodec"
            say(f"{error.format_message().rstrip('.')}: see '{command} --help'")
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
    return result if isinstance(result, int) else 0
