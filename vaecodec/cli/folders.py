"""Whole folders: which files in them are inputs, and where in the same tree their outputs go."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vaecodec.cli.failures import exit_code, message_about
from vaecodec.cli.files import PIPE, is_folder, is_stream
from vaecodec.cli.jobs import Outcome, Task
from vaecodec.errors import DamagedFileError, LimitError, UsageError, VaecodecError
from vaecodec.picture_files import READABLE_EXTENSIONS

_FILES = frozenset({".vaec", *READABLE_EXTENSIONS})
"""Names that are hardly meant for a folder."""


@dataclass
class FolderPlan:
    """What there is to do in folders.

    Attributes:
        tasks: inputs and outputs.
        failures: what cannot be done, and is known before.
        finished: how many outputs exist and are not older than their inputs.
        others: how many files have names of something else, or are hidden.
        links: how many folders are links, which are not followed.
    """

    tasks: list[Task] = field(default_factory=list)
    failures: list[Outcome] = field(default_factory=list)
    finished: int = 0
    others: int = 0
    links: int = 0


def plan_folders(
    inputs: Sequence[str],
    output: str | None,
    extensions: Collection[str],
    name_for: Callable[[Path], str] | None,
    *,
    force: bool,
) -> FolderPlan:
    """Goes through folders and keeps their tree.

    Args:
        inputs: folders, and files among them.
        output: the folder that the trees go into, made where it does not exist; None for outputs beside their inputs.
        extensions: of inputs, in lower case, with their dots.
        name_for: the name of an output for an input, without its folder; None where nothing is written.
        force: do finished ones again.

    Raises:
        UsageError: the output is no folder.
    """
    if PIPE in inputs or output == PIPE:
        raise UsageError("-r is for folders: a pipe is not one")
    if output is not None and Path(output).exists() and not Path(output).is_dir():
        raise UsageError(f"{output}: exists and is not a folder: name a folder")
    if (
        output is not None
        and Path(output).suffix.lower() in _FILES
        and not output.endswith("/")
        and not Path(output).exists()
    ):
        raise UsageError(f"{output}: is the name of a file, and -r makes a folder: say -o {output}/ or another name")
    plan = FolderPlan()
    taken: dict[str, str] = {}
    for root in map(Path, inputs):
        for source in _files(root, extensions, None if output is None else Path(output), plan):
            if name_for is None:
                plan.tasks.append(Task(str(source), ""))
                continue
            folder = source.parent if output is None else Path(output) / source.parent.relative_to(_top(root))
            target = str(folder / name_for(source))
            if target in taken:
                failure = f"{source}: would have the output of {taken[target]}, {target}: compress them apart"
                plan.failures.append(Outcome(Task(str(source), target), failure=failure, code=UsageError.exit_code))
                continue
            taken[target] = str(source)
            if force or not is_finished(source, Path(target)):
                plan.tasks.append(Task(str(source), target))
            elif is_whole(Path(target)):
                plan.finished += 1
            else:
                failure = f"{target}: exists, and is damaged or cut short: remove it, and it is made anew"
                plan.failures.append(
                    Outcome(Task(str(source), target), failure=failure, code=DamagedFileError.exit_code)
                )
    return plan


def _top(root: Path) -> Path:
    return root if is_folder(root) else root.parent


def _files(root: Path, extensions: Collection[str], output: Path | None, plan: FolderPlan) -> list[Path]:
    """The inputs below a folder in a fixed order, or the file that was named; notes in the plan what is none."""
    if not is_folder(root):
        return [root]

    def note(error: OSError) -> None:
        where = str(error.filename or root)
        plan.failures.append(Outcome(Task(where, ""), failure=message_about(where, error), code=exit_code(error)))

    files: list[Path] = []
    for folder, folders, names in os.walk(root, onerror=note):
        here = Path(folder)
        plan.links += sum((here / name).is_symlink() for name in folders if not name.startswith("."))
        # Neither hidden folders nor, where it lies inside, that of the outputs.
        folders[:] = sorted(
            name for name in folders
            if not name.startswith(".") and not (output is not None and output.exists() and (here / name).samefile(output))
        )  # fmt: skip
        for name in sorted(names):
            # A pipe or device that lies in a folder would be waited for; one that is named by itself is read.
            if name.startswith(".") or Path(name).suffix.lower() not in extensions or is_stream(str(here / name)):
                plan.others += 1
            else:
                files.append(here / name)
    return files


def is_finished(source: Path, target: Path) -> bool:
    """Tells whether the output is there and not older than its input, whose time stamp it was given."""
    try:
        return target.is_file() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns
    except OSError:
        return False


def is_whole(target: Path) -> bool:
    """Tells whether a finished output has all its bytes: a file of ours by its checksums, any other where it is not empty."""
    from vaecodec.bitstream.container import EXTENSION, read_container

    try:
        if target.suffix.lower() != EXTENSION:
            return target.stat().st_size > 0
        read_container(target.read_bytes())
    except LimitError:
        return True
    except (OSError, VaecodecError):
        return False
    return True
