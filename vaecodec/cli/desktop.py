"""``vaecodec desktop``: has the desktop know the files and show small pictures of them."""

from __future__ import annotations

import click

from vaecodec.cli import options
from vaecodec.cli.failures import shown
from vaecodec.cli.help import Command


@click.command(
    "desktop",
    cls=Command,
    short_help="Have file managers know .vaec files and show them.",
    examples="""
vaecodec desktop                      # for you: ~/.local/share
vaecodec desktop --remove
sudo vaecodec desktop --folder /usr/share
""",
    example_mark="not run: tests/test_desktop.py does it in a folder of its own",
)
@options.path_option("--folder", metavar="DIR", show_default="~/.local/share", help="Folder of shared data.")
@options.option("--remove", is_flag=True, help="Undo it.")
def command(folder: str | None, remove: bool) -> None:
    """Install a MIME type and a thumbnailer for GNOME, KDE and Xfce."""
    from pathlib import Path

    from vaecodec import desktop
    from vaecodec.errors import UsageError

    if folder is not None and Path(folder).exists() and not Path(folder).is_dir():
        raise UsageError(f"{shown(folder)}: is a file: name a folder")
    where = None if folder is None else Path(folder)
    for path in desktop.remove(where) if remove else desktop.install(where):
        click.echo(f"{path}: {'removed' if remove else 'written'}")
