"""Worker processes that have one task in hand each: ended at once, replaced when they die.

::

    tasks ──► one at a time down a pipe ──► worker: job(task) ──► outcome up the pipe
                                              dies: its task is lost, another takes its place

A queue would hand over tasks that nobody has begun, and could not say which of them died with a worker.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from vaecodec.cli.failures import SOME_FAILED
from vaecodec.cli.outcomes import Job, Outcome, Task, Trace, run_job
from vaecodec.cli.signals import as_worker, kept_from_children, let_through

# What a worker has to unwind its stack and remove a temporary file in; then it is killed, whatever library it is in.
_GRACE_S = 0.2
_MOST_FALSE_STARTS = 3
_READY = "ready"


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    trace: Trace | None = None
    """Of the task in hand."""
    ready: bool = False


class Pool:
    """Deals tasks out to workers and gives their outcomes as they come.

    Used as ``for outcome in pool.outcomes(): …``; whatever ends that, `stop` ends the workers.
    """

    def __init__(self, tasks: Sequence[Task], job: Job, workers: int) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._waiting, self._job, self._count = list(reversed(tasks)), job, workers
        self._threads = max(1, cores // workers)
        # A fork of a process that has threads, as torch has, may never wake up.
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._false_starts = 0

    def outcomes(self) -> Generator[Outcome, None, None]:
        """The outcomes in the order in which they come."""
        for _ in range(self._count):
            self._start()
        while self._waiting or any(worker.trace for worker in self._workers):
            if not self._workers:
                yield from self._given_up()
                return
            with let_through():
                heard = wait([worker.pipe for worker in self._workers])
            for pipe in heard:
                worker = next(worker for worker in self._workers if worker.pipe is pipe)
                yield from self._heard(worker)
        self.stop()

    def stop(self) -> list[Outcome]:
        """Ends all workers and returns the outcomes that nobody has heard of yet: nothing is written after this."""
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + _GRACE_S
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        late = []
        for worker in self._workers:
            while worker.trace is not None and worker.pipe.poll():
                try:
                    message = worker.pipe.recv()
                except (EOFError, OSError):
                    break
                if isinstance(message, Outcome):
                    late.append(message)
                    worker.trace = None
            if worker.trace is not None and (outcome := worker.trace.outcome_if_written(self._job)) is not None:
                late.append(outcome)
            worker.pipe.close()
        self._workers = []
        return late

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._job, self._threads), daemon=True)
        with kept_from_children():
            process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))

    def _heard(self, worker: _Worker) -> Generator[Outcome, None, None]:
        try:
            message: Any = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._died(worker)
            return
        if message == _READY:
            worker.ready, self._false_starts = True, 0
        else:
            worker.trace = None
            yield message
        if self._waiting:
            task = self._waiting.pop()
            worker.trace = Trace(task)
            try:
                worker.pipe.send(task)
            except OSError:
                yield from self._died(worker)

    def _died(self, worker: _Worker) -> Generator[Outcome, None, None]:
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)
        self._false_starts += not worker.ready
        if worker.trace is not None:
            task = worker.trace.task
            yield worker.trace.outcome_if_written(self._job) or Outcome(
                task, failure=f"{task.source}: not done, its worker process died: too little memory?", code=SOME_FAILED
            )
        if self._waiting and self._false_starts < _MOST_FALSE_STARTS:
            self._start()

    def _given_up(self) -> Generator[Outcome, None, None]:
        while self._waiting:
            task = self._waiting.pop()
            failure = f"{task.source}: not done, worker processes do not start: use fewer with -j"
            yield Outcome(task, failure=failure, code=SOME_FAILED)


def _work(pipe: Connection, job: Job, threads: int) -> None:
    """A worker: it leaves interrupts to its parent, and does not outlive it."""
    as_worker()
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    job.prepare(threads)
    pipe.send(_READY)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        pipe.send(run_job(job, task))


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
