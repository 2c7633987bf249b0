"""Signals come where work is done, and wait where outcomes are noted and printed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vaecodec.cli import signals
from vaecodec.cli.jobs import run_all
from vaecodec.cli.outcomes import Line, Outcome, Task
from vaecodec.cli.progress import Progress


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    # Where the tests run in the background the shell has SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with signals.as_exceptions():
        yield
    signal.signal(signal.SIGINT, before)


def send(number: signal.Signals = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_is_held_back_until_the_end_or_until_work_goes_on(
    number: signal.Signals, raised: type[BaseException]
) -> None:
    seen = []
    with pytest.raises(raised), signals.held():
        send(number)
        seen.append("after it came")
    assert seen == ["after it came"]
    with signals.as_exceptions(), pytest.raises(raised), signals.held():
        send(number)
        seen.append("held")
        with signals.let_through():
            seen.append("never")
    assert seen == ["after it came", "held"]


def test_work_is_interrupted_at_once_also_within() -> None:
    seen = []
    with pytest.raises(KeyboardInterrupt), signals.held(), signals.let_through():
        send()
        seen.append("never")
    assert not seen


def test_an_interrupt_that_a_library_swallows_ends_the_next_task() -> None:
    seen = []
    with pytest.raises(KeyboardInterrupt), signals.held():
        with signals.let_through():
            try:
                send()
            except BaseException:  # noqa: BLE001  as destructors do
                seen.append("swallowed")
        seen.append("noted")
        with signals.let_through():
            seen.append("never")
    assert seen == ["swallowed", "noted"]


def test_an_interrupt_in_a_destructor_comes_again_and_nothing_is_printed(capsys: Any) -> None:
    class Interrupted:
        def __del__(self) -> None:
            send()

    waiting = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        Interrupted()
        waiting.wait(10)
    assert capsys.readouterr() == ("", "")


def test_who_asks_again_after_a_second_is_not_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    with pytest.raises(KeyboardInterrupt), signals.held():
        send()
        send()
        seen.append("twice at once")
        monkeypatch.setattr(signals, "_PATIENCE_S", -1.0)
        send()
        seen.append("never")
    assert seen == ["twice at once"]


def test_handlers_of_others_stay_and_ours_go() -> None:
    def mine(*_: object) -> None: ...

    for handler in (signal.SIG_IGN, mine):
        before = signal.signal(signal.SIGINT, handler)
        with signals.as_exceptions():
            assert signal.getsignal(signal.SIGINT) is handler
        assert signal.signal(signal.SIGINT, before) is handler
    failed: list[BaseException] = []

    def elsewhere() -> None:
        try:
            with signals.as_exceptions(), signals.held(), signals.let_through():
                pass
        except BaseException as error:  # noqa: BLE001  handed over
            failed.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert not failed


class Lines(tuple[Line, ...]):
    """Lines that are interrupted when they are about to be printed."""

    def __iter__(self) -> Iterator[Line]:
        send()
        return super().__iter__()


class WritingJob:
    """Writes its outputs, and is interrupted: as the second is printed, or in its own last step."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False, at_the_end_of: str = "") -> None:
        self.as_json, self.quiet, self.last = as_json, quiet, at_the_end_of

    def prepare(self, threads: int | None = None) -> None: ...

    def __call__(self, task: Task) -> Outcome:
        if task.source == "bad":
            return Outcome(task, failure="bad: no picture", code=3)
        Path(task.target).write_text(task.source)
        if self.last == task.source:
            send()
        lines = (Line(f"{task.source} -> {task.target}: 1 byte", to_stderr=False),)
        return Outcome(task, Lines(lines) if task.source == "b" and not self.last else lines)


def run(job: WritingJob, folder: Path) -> None:
    tasks = [Task(name, str(folder / name)) for name in ("a", "bad", "b", "c")]
    with pytest.raises(KeyboardInterrupt):
        run_all(tasks, job, workers=1, progress=Progress(4, quiet=True), failures_last=True)


def test_what_was_written_is_said_though_the_interrupt_comes_as_it_is_printed(tmp_path: Path, capsys: Any) -> None:
    run(WritingJob(), tmp_path)
    out, err = capsys.readouterr()
    assert out == f"a -> {tmp_path / 'a'}: 1 byte\nb -> {tmp_path / 'b'}: 1 byte\n"
    assert err == "vaecodec: stopped: 2 done, 2 not\nvaecodec: bad: no picture\n"
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("job", "line"),
    [
        (WritingJob(at_the_end_of="a"), "a -> {a}: written\n"),
        (WritingJob(at_the_end_of="a", quiet=True), ""),
        (WritingJob(at_the_end_of="a", as_json=True, quiet=True), '{{"input": "a", "output": "{a}"}}\n'),
    ],
    ids=["lines", "quiet", "JSON"],
)
def test_what_was_written_and_not_reported_is_said_in_the_form_that_was_asked_for(
    tmp_path: Path, capsys: Any, job: WritingJob, line: str
) -> None:
    run(job, tmp_path)
    out, err = capsys.readouterr()
    assert out == line.format(a=tmp_path / "a")
    assert err == "vaecodec: stopped: 1 done, 3 not\n"


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="needs signal masks")
def test_a_process_that_still_starts_never_sees_an_interrupt() -> None:
    script = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('lives')"
    with signals.kept_from_children():
        child = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (child.stdout, child.stderr) == ("lives\n", "")
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
