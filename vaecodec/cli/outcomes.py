"""A task, and what became of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from vaecodec.cli.failures import exit_code, message_about, shown
from vaecodec.errors import OutputExistsError


class Task(NamedTuple):
    """An input and its output; an empty output where nothing is written."""

    source: str
    target: str


class Line(NamedTuple):
    """Something to print, and whether it goes to standard error."""

    text: str
    to_stderr: bool


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        task: the task.
        lines: what its job has to say.
        failure: one line, or None.
        code: the exit code of the failure, or 0.
        exists: it failed because its output was there.
    """

    task: Task
    lines: tuple[Line, ...] = ()
    failure: str | None = None
    code: int = 0
    exists: bool = False


class Job(Protocol):
    """What is done for every task. It is pickled before it is prepared.

    Attributes:
        as_json: its lines are objects of JSON.
        quiet: no other lines than those.
    """

    as_json: bool
    quiet: bool

    def prepare(self, threads: int | None = None) -> None:
        """Loads what all tasks need, once in each process, to compute with so many threads where none were asked for."""
        ...

    def __call__(self, task: Task) -> Outcome:
        """Does the work for one task."""
        ...


def run_job(job: Job, task: Task) -> Outcome:
    """Runs one task; what fails about it is an outcome, whatever it is."""
    try:
        return job(task)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  the error of one file ends no batch
        exists = isinstance(error, OutputExistsError)
        return Outcome(
            task, failure=message_about(task.source, error, task.target), code=exit_code(error), exists=exists
        )


@dataclass(frozen=True)
class Trace:
    """Remembers an output as it was before its task was begun, to tell later whether it was written."""

    task: Task
    _before: tuple[int, ...] | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_before", _identity(self.task.target))

    def outcome_if_written(self, job: Job) -> Outcome | None:
        """The outcome of a task that nobody reported, in the form of the job's lines; None where its output was not written."""
        now = _identity(self.task.target)
        if now is None or now == self._before:
            return None
        source, target = self.task
        line = (
            json.dumps({"input": source, "output": target})
            if job.as_json
            else f"{shown(source)} -> {shown(target)}: written"
        )
        return Outcome(self.task, () if job.quiet and not job.as_json else (Line(line, to_stderr=False),))


def _identity(path: str) -> tuple[int, ...] | None:
    """Tells one version of a file from another: outputs appear whole, as new files."""
    try:
        status = Path(path).stat() if path else None
    except OSError:
        return None
    return None if status is None else (status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns)
