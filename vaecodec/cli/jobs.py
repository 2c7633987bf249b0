"""Work on many files: in this process, or dealt out to several that load the model once each.

::

    tasks ──► job(task) ──► outcome: lines to print, or a failure
              in this process, or in one of N workers with cores // N threads each
"""

from __future__ import annotations

import contextlib
import copy
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import NamedTuple, Protocol

import click

from vaecodec.cli.failures import SOME_FAILED, exit_code, message_about, say
from vaecodec.cli.progress import Progress
from vaecodec.errors import VaecodecError

# So many tasks wait for each worker; the others are not handed over yet.
_AHEAD = 2


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
    """

    task: Task
    lines: tuple[Line, ...] = ()
    failure: str | None = None
    code: int = 0


class Job(Protocol):
    """What is done for every task. It is pickled before it is prepared."""

    def prepare(self, threads: int | None = None) -> None:
        """Loads what all tasks need, once in each process, to compute with so many threads."""
        ...

    def __call__(self, task: Task) -> Outcome:
        """Does the work for one task."""
        ...


def run_job(job: Job, task: Task) -> Outcome:
    """Runs one task; what fails about it is an outcome."""
    try:
        return job(task)
    except BrokenPipeError:
        raise
    except (VaecodecError, OSError, MemoryError) as error:
        return Outcome(task, failure=message_about(task.source, error), code=exit_code(error))


def run_all(
    tasks: Sequence[Task], job: Job, *, workers: int, progress: Progress, failures_last: bool = False
) -> list[Outcome]:
    """Runs a job for every task and prints what it says; one that fails does not keep the others from theirs.

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
    # Closed on the way out, whatever the reason, so that no worker goes on.
    with contextlib.closing(_in_processes(tasks, job, workers) if workers > 1 else _here(tasks, prepared)) as coming:
        for outcome in coming:
            outcomes.append(outcome)
            progress.clear()
            for line in outcome.lines:
                click.echo(line.text, err=line.to_stderr)
            if outcome.failure is not None and not failures_last:
                say(outcome.failure)
            if len(outcomes) < len(tasks):
                progress.show(len(outcomes), outcome.task.source)
    return outcomes


def exit_with(outcomes: Sequence[Outcome]) -> None:
    """Ends the command if something failed: with the failure's own code if there was one input, else with 1."""
    codes = [outcome.code for outcome in outcomes if outcome.code]
    if codes:
        raise click.exceptions.Exit(codes[0] if len(outcomes) == 1 else SOME_FAILED)


def _here(tasks: Sequence[Task], job: Job) -> Generator[Outcome, None, None]:
    for task in tasks:
        yield run_job(job, task)


def _in_processes(tasks: Sequence[Task], job: Job, workers: int) -> Generator[Outcome, None, None]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    executor = ProcessPoolExecutor(
        workers,
        # A fork of a process that has threads, as torch has, may never wake up.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(job, max(1, cores // workers)),
    )
    waiting = list(reversed(tasks))
    running: dict[Future[Outcome], Task] = {}
    try:
        while waiting or running:
            while waiting and len(running) < _AHEAD * workers:
                task = waiting.pop()
                running[executor.submit(_work, task)] = task
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                yield future.result()
        executor.shutdown()
    except BrokenProcessPool:
        # Which of the tasks it died of is not known: none of those that were begun has an output.
        for lost in [task, *running.values(), *reversed(waiting)]:
            failure = f"{lost.source}: not done, a worker process died: use fewer with -j"
            yield Outcome(lost, failure=failure, code=SOME_FAILED)
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
        raise


_job: Job | None = None


def _start_worker(job: Job, threads: int) -> None:
    """Prepares a worker: it leaves interrupts to its parent, and does not outlive it."""
    global _job
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Unwinds the stack, so that temporary files are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    job.prepare(threads)
    _job = job


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _work(task: Task) -> Outcome:
    assert _job is not None  # the initializer has run
    return run_job(_job, task)
