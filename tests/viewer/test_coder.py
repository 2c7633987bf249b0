"""The entropy coder of the page, in C, under sanitizers; its bytes are compared with constriction's in test_viewer.py."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CORE = HERE.parents[1] / "docs" / "viewer" / "core"
BITSTREAM = HERE.parents[1] / "vaecodec" / "bitstream"
FLAGS = [
    "-std=c11",
    "-O1",
    "-g",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
]


def test_symbols_come_back_and_hostile_streams_do_no_harm(tmp_path: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc")
    program = tmp_path / "fuzz"
    sources = [str(CORE / "coder.c"), str(HERE / "fuzz_coder.c")]
    built = subprocess.run(
        [compiler, *FLAGS, f"-I{CORE}", f"-I{BITSTREAM}", *sources, "-o", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "cannot find" in built.stderr and "asan" in built.stderr:
        pytest.skip("gcc has no sanitizers here")
    assert built.returncode == 0, built.stderr
    # Tables that are refused leave memory behind: the page gives it back all at once.
    done = subprocess.run(
        [program], capture_output=True, text=True, check=False, env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[0]) > 10_000
