"""What is built for other platforms: the names in cibuildwheel's configuration, and that the extension keeps to the stable ABI."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WHEELS = {
    "linux": {"manylinux_x86_64", "manylinux_aarch64", "musllinux_x86_64", "musllinux_aarch64"},
    "macos": {"macosx_x86_64", "macosx_arm64"},
    "windows": {"win_amd64", "win_arm64"},
}


@pytest.mark.parametrize("platform", WHEELS)
def test_wheels_are_built_for_every_platform(platform: str) -> None:
    if importlib.util.find_spec("cibuildwheel") is None:
        pytest.skip("no cibuildwheel")
    command = [sys.executable, "-m", "cibuildwheel", "--platform", platform, "--print-build-identifiers", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # One for 3.10, whose stable ABI lacks the buffer protocol, and one for all later ones.
    assert set(done.stdout.split()) == {
        f"{python}-{wheel}" for python in ("cp310", "cp311") for wheel in WHEELS[platform]
    }


def test_wheels_are_tested_without_torch(tmp_path: Path) -> None:
    """Runs the commands of the configuration as cibuildwheel does: elsewhere, and where no test may import torch."""
    tomllib = pytest.importorskip("tomllib", reason="from Python 3.11 on")
    commands = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]["test-command"]
    (tmp_path / "torch.py").write_text("raise ImportError('no torch where wheels are tested')")
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    for command in commands:
        command = command.format(project=ROOT).replace("pytest ", f"{sys.executable} -m pytest --collect-only -q ")
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["vaecodec.exact.kernels._kernels", "vaecodec.bitstream._range_coder"])
def test_the_extensions_keep_to_the_stable_abi(name: str) -> None:
    if importlib.util.find_spec("abi3audit") is None:
        pytest.skip("no abi3audit")
    if sys.version_info < (3, 11):
        pytest.skip("the extension of 3.10 is for that version alone")
    extension = importlib.import_module(name)
    # abi3audit knows only its own command line.
    program = Path(sys.executable).with_name("abi3audit")
    command = [program, "--strict", "--assume-minimum-abi3", "3.11", str(extension.__file__)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
