"""The frame of the commands that work on many inputs: what goes where, who does it, and what is said at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import click

from vaecodec.cli.failures import SOME_FAILED, exit_code, message_about, say
from vaecodec.cli.files import PIPE, check_source, make_folder, plan_outputs
from vaecodec.cli.folders import FolderPlan, is_finished, plan_folders
from vaecodec.cli.jobs import Job, Outcome, Task, exit_with, run_all, tell_failure
from vaecodec.cli.progress import Progress
from vaecodec.errors import PictureNotFoundError


def run(
    inputs: Sequence[str],
    output: str | None,
    job: Job,
    extensions: Collection[str],
    name_for: Callable[[Path], str] | None,
    *,
    verb: str,
    recursive: bool,
    workers: int,
    force: bool,
    quiet: bool,
    summary: bool,
) -> None:
    """Runs a job for inputs, or for what is in folders.

    Args:
        inputs: paths, or PIPE.
        output: as given by ``-o``.
        job: what is done for each.
        extensions: of inputs in folders.
        name_for: the name of an output for an input, without its folder; None where nothing is written.
        verb: what has been done to an input, for the summary.
        recursive: whether inputs may be folders.
        workers: processes.
        force: whether outputs may be overwritten.
        quiet: print nothing but errors.
        summary: print a last line about folders.

    Raises:
        click.exceptions.Exit: something failed.
    """
    if recursive:
        plan = plan_folders(inputs, output, extensions, name_for, force=force)
        _run_folders(plan, job, verb, workers=workers, quiet=quiet, summary=summary and not quiet)
        return
    if len(inputs) == 1:
        try:
            check_source(inputs[0])
        except (PictureNotFoundError, OSError) as error:
            failure, code = message_about(inputs[0], error), exit_code(error)
            tell_failure(Outcome(Task(inputs[0], ""), failure=failure, code=code), as_json=job.as_json)
            raise click.exceptions.Exit(code) from error
    targets = {} if name_for is None else plan_outputs(inputs, output, name_for, force=force)
    tasks = [Task(source, targets.get(source, "")) for source in inputs]
    if any(PIPE in task for task in tasks):
        # A pipe is this process's own.
        workers = 1
    exit_with(run_all(tasks, job, workers=workers, progress=Progress(len(tasks), quiet=quiet)))


def _run_folders(plan: FolderPlan, job: Job, verb: str, *, workers: int, quiet: bool, summary: bool) -> None:
    tasks = _with_folders(plan)
    if not (tasks or plan.failures or plan.finished):
        say("there is nothing to do in this folder: check the path")
    progress = Progress(len(tasks), quiet=quiet)
    outcomes = run_all(tasks, job, workers=workers, progress=progress, failures_last=True) if tasks else []
    # Another run into the same folder may have been faster.
    elsewhere = [outcome for outcome in outcomes if outcome.exists and is_finished(*map(Path, outcome.task))]
    plan.finished += len(elsewhere)
    failed = [*plan.failures, *(outcome for outcome in outcomes if outcome.code and outcome not in elsewhere)]
    if summary:
        click.echo(_summary(plan, outcomes, failed, verb))
    for outcome in failed:
        tell_failure(outcome, as_json=job.as_json)
    if failed:
        raise click.exceptions.Exit(SOME_FAILED)


def _with_folders(plan: FolderPlan) -> list[Task]:
    """Makes the folders that outputs go into; tasks whose folder cannot be made are failures of the plan, and not returned."""
    tasks = []
    for task in plan.tasks:
        try:
            if task.target:
                make_folder(Path(task.target).parent)
        except OSError as error:
            plan.failures.append(
                Outcome(task, failure=message_about(task.source, error, task.target), code=exit_code(error))
            )
        else:
            tasks.append(task)
    return tasks


def _summary(plan: FolderPlan, outcomes: Sequence[Outcome], failed: Sequence[Outcome], verb: str) -> str:
    parts = [f"{sum(not outcome.code for outcome in outcomes)} {verb}"]
    if plan.finished:
        parts.append(f"{plan.finished} finished before and skipped (-f does them again)")
    if plan.others:
        parts.append(f"{plan.others} other file{'s' if plan.others > 1 else ''} left alone")
    if plan.links:
        parts.append(f"{plan.links} linked folder{'s' if plan.links > 1 else ''} not followed")
    if failed:
        parts.append(f"{len(failed)} failed:")
    return ", ".join(parts)
