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
            (tmp_path / "a.png").touch()
            patch.setattr("vaecodec.cli.files.check_target", swallowed)
            assert main(["compress", str(tmp_path / "a.png")]) == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert [line for line in capsys.readouterr().err.splitlines() if line] == ["vaecodec: interrupted"] * 2


# In the middle of writing, in one call of a library that takes half a minute and lets other threads run.
_IN_A_LIBRARY = """
import hashlib, signal, sys, time
sys.argv[0] = sys.argv.pop(1)
import vaecodec.atomic, vaecodec.cli
from vaecodec.cli.compress import CompressJob, _Made
signal.signal(signal.SIGINT, signal.default_int_handler)
vaecodec.atomic._open_nameless = lambda path: None
def compute(file):
    file.write(b"half")
    file.flush()
    print("computes", flush=True)
    if "swallow" in sys.argv[0]:
        try:
            time.sleep(30)
        except BaseException:
            pass
    hashlib.pbkdf2_hmac("sha256", b"", b"", 40_000_000)
CompressJob._by_rows = lambda job, source: _Made(compute if "slow" in source else b"done", {}, ())
sys.exit(vaecodec.cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("how", ["compute", "swallow"])
@pytest.mark.parametrize(
    ("number", "code", "last"),
    [(signal.SIGINT, 130, ["vaecodec: interrupted"]), (signal.SIGTERM, 143, [])],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_library_that_computes_on_is_not_waited_for(
    number: signal.Signals, code: int, last: list[str], how: str, tmp_path: Path
) -> None:
    names = ["a.png", "slow.png"]
    for name in names:
        (tmp_path / name).touch()
    command = [sys.executable, "-c", _IN_A_LIBRARY, how, "compress", *names, "-o", "out/", "--quiet"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "computes\n"
        assert len(list((tmp_path / "out").iterdir())) == 2
        start = time.monotonic()
        process.send_signal(number)
        _, said = process.communicate()
    assert time.monotonic() - start < 10
    assert (process.returncode, said.splitlines()) == (code, ["vaecodec: stopped: 1 done, 1 not", *last])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.vaec"]


def test_the_package_itself_imports_nothing_and_handles_no_signals() -> None:
    program = (
        "import signal, sys; before = set(sys.modules); import vaecodec; new = set(sys.modules) - before - {'__future__'};"
        "print(sorted(new), signal.getsignal(signal.SIGINT) is signal.default_int_handler, vaecodec.__version__,"
        "vaecodec.VaecodecError.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "['vaecodec']" and done.stdout.split()[-1] == "VaecodecError"
