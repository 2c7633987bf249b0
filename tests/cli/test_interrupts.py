"""Ctrl-C in a real process: one word and nothing else, from the command's first instruction on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vaecodec.cli import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals come in other ways there")

# Interrupts itself when a module is looked for. Where tests run in the background the shell has SIGINT ignored.
_STARTED = """
import os, runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
wanted = sys.argv.pop(1)
class Interrupt:
    @staticmethod
    def find_spec(name, *_):
        if name == wanted:
            sys.meta_path.remove(Interrupt)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt)
for name in [name for name in sys.modules if name in ("gc", "signal")]:
    del sys.modules[name]
runpy.run_module("vaecodec", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    "module",
    ["gc", "signal", "vaecodec.interrupt", "vaecodec.cli", "click", "vaecodec.cli.failures", "vaecodec.errors", "vaecodec.cli.models", "vaecodec.api", "numpy"],
)  # fmt: skip
def test_an_interrupt_while_the_command_starts_is_one_word(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _STARTED, module, "models"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.lstrip("\n"), done.stdout) == (130, "vaecodec: interrupted\n", "")


def test_an_interrupt_of_which_a_library_makes_an_error_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def swallowed(*_: object, **__: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        except KeyboardInterrupt:
            raise ImportError("umath failed to import") from None

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr("vaecodec.api.list_models", swallowed)
            assert main(["models"]) == 130
            patch.setattr("vaecodec.cli.files.check_source", lambda _: None)
            patch.setattr("vaecodec.cli.files.check_target", swallowed)
            assert main(["compress", str(tmp_path / "a.png")]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert [line for line in capsys.readouterr().err.splitlines() if line] == ["vaecodec: interrupted"] * 2


def test_the_package_itself_imports_nothing_and_handles_no_signals() -> None:
    program = (
        "import signal, sys; before = set(sys.modules); import vaecodec; new = set(sys.modules) - before;"
        "print(sorted(new), signal.getsignal(signal.SIGINT) is signal.default_int_handler, vaecodec.__version__,"
        "vaecodec.VaecodecError.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "['vaecodec']" and done.stdout.split()[-1] == "VaecodecError"
