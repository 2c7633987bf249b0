"""Work on many files: in this process, or dealt out to several that load the model once each.

::

    tasks ──► job(task) ──► outcome: lines to print, or a failure
              in this process, or in one of N workers with cores // N threads each
"""

from __future__ import annotations

import copy
import json
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import click

from vaecodec.atomic import remove_unfinished
from vaecodec.cli.failures import SOME_FAILED, printable, say
from vaecodec.cli.files import PIPE, remove_empty_folders
from vaecodec.cli.outcomes import Job, Line, Outcome, Task, Trace, run_job
from vaecodec.cli.progress import Progress
from vaecodec.cli.signals import held, let_through, never_kept_waiting

if TYPE_CHECKING:
    from vaecodec.cli.workers import Pool

__all__ = ["Job", "Line", "Outcome", "Task", "exit_with", "run_all", "run_job", "tell_failure"]


def run_all(
    tasks: Sequence[Task], job: Job, *, workers: int, progress: Progress, failures_last: bool = False
) -> list[Outcome]:
    """Runs a job for every task and prints what it says; one that fails does not keep the others from theirs.

    On an interrupt all work ends at once, and what was written until then is printed first.

    Args:
        tasks: in the order in which they are begun.
        job: not prepared yet.
        workers: processes; 1 is this one.
        progress: shown meanwhile.
        failures_last: leave the failures to the caller to print.

    Returns:
        The outcomes in the order in which they came.
    """
    # Here too, so that missing weights are said once and at once.
    prepared = copy.copy(job)
    prepared.prepare()
    outcomes: list[Outcome] = []
    workers = min(workers, len(tasks))
    progress.show(0, tasks[0].source if tasks else "")
    in_workers = workers > 1
    work = _pool(tasks, job, workers) if in_workers else _Here(tasks, prepared)

    def heard(outcome: Outcome) -> None:
        outcomes.append(outcome)
        progress.clear()
        for line in outcome.lines:
            click.echo(printable(line.text), err=line.to_stderr)
        if outcome.failure is not None and not failures_last:
            tell_failure(outcome, as_json=job.as_json)

    def stopped() -> None:
        for outcome in work.stop():
            heard(outcome)
        _tell_stopped(outcomes, len(tasks), failures=failures_last, as_json=job.as_json)

    def last_words(number: int) -> None:
        remove_unfinished()
        progress.clear()
        stopped()
        remove_empty_folders()
        if number == signal.SIGINT:
            say("interrupted")

    # Workers are processes: what they announce is not heard here, and no thread must run while they are made. They are killed in time.
    with held(), nullcontext() if in_workers else _in_sight(progress, last_words):
        try:
            for outcome in work.outcomes():
                heard(outcome)
                if len(outcomes) < len(tasks):
                    progress.show(len(outcomes), outcome.task.source)
        except BaseException:
            stopped()
            raise
    return outcomes


@contextmanager
def _in_sight(progress: Progress, last_words: Callable[[int], None]) -> Iterator[None]:
    with progress.ticking(), never_kept_waiting(last_words):
        yield


def _tell_stopped(outcomes: Sequence[Outcome], count: int, *, failures: bool, as_json: bool) -> None:
    """Says how far the work came, and of failures those that were left for the end."""
    if count > 1:
        done = sum(not outcome.code for outcome in outcomes)
        say(f"stopped: {done} done, {count - done} not")
    for outcome in outcomes if failures else ():
        if outcome.failure is not None and not outcome.exists:
            tell_failure(outcome, as_json=as_json)


def tell_failure(outcome: Outcome, *, as_json: bool) -> None:
    """Says why a task failed, for people and, where the job has not said anything itself, for programs."""
    if as_json and not outcome.lines:
        source, target = outcome.task
        report = {"input": source, "output": target or None, "error": outcome.failure, "exit_code": outcome.code}
        click.echo(json.dumps(report), err=target == PIPE)
    say(outcome.failure)


def exit_with(outcomes: Sequence[Outcome]) -> None:
    """Ends the command if something failed: with the failure's own code if there was one input, else with 1."""
    codes = [outcome.code for outcome in outcomes if outcome.code]
    if codes:
        raise click.exceptions.Exit(codes[0] if len(outcomes) == 1 else SOME_FAILED)


def _pool(tasks: Sequence[Task], job: Job, workers: int) -> Pool:
    # Python's processes take 10 ms to import: most commands have one file.
    from vaecodec.cli.workers import Pool

    return Pool(tasks, job, workers)


class _Here:
    """As `Pool`, in this process."""

    def __init__(self, tasks: Sequence[Task], job: Job) -> None:
        self._tasks, self._job = tasks, job
        self._trace: Trace | None = None

    def outcomes(self) -> Generator[Outcome, None, None]:
        for task in self._tasks:
            self._trace = Trace(task)
            with let_through():
                outcome = run_job(self._job, task)
            if outcome.code:
                # What a library made of a signal is no failure of the picture.
                with let_through():
                    pass
            self._trace = None
            yield outcome

    def stop(self) -> list[Outcome]:
        written = None if self._trace is None else self._trace.outcome_if_written(self._job)
        return [] if written is None else [written]
