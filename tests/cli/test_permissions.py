"""What may not be read or searched: every command says the same, with the same exit code, and goes on with the other inputs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaecodec.cli import main

DENIED = "permission denied: check its permissions and those of its folder"
# Root keeps its name, so that it can still run what is its own, and may no more than others.
_AS_OTHERS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or (os.geteuid() == 0 and shutil.which(_AS_OTHERS[0]) is None),
    reason="everything may be read",
)

Run = Callable[..., list[tuple[int, str]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs commands, one after the other in one process that may not do everything; gives their exit codes and what they say."""
    program = (
        "import contextlib, io, json, sys; from vaecodec.cli import main; told = []\n"
        "for line in sys.argv[1:]:\n"
        "    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):\n"
        "        told.append((main(line.split()), said.getvalue()))\n"
        "print(json.dumps(told))"
    )

    def run(*lines: str) -> list[tuple[int, str]]:
        as_others = _AS_OTHERS if os.geteuid() == 0 else []
        done = subprocess.run(
            [*as_others, sys.executable, "-c", program, *lines],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [(code, said) for code, said in json.loads(done.stdout)]

    return run


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """Files ``no.*`` that may not be read, a folder ``shut``, and one, ``listed``, whose names may be read and no more."""
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / "good.png")
    assert main(["compress", str(tmp_path / "good.png")]) == 0
    np.save(tmp_path / "no.npy", np.zeros((2, 28, 28), np.uint8))
    (tmp_path / "no.safetensors").write_bytes(bytes(100))
    for name in ("good.png", "good.vaec"):
        shutil.copy(tmp_path / name, (tmp_path / "no").with_suffix(Path(name).suffix))
        for folder in ("shut", "listed", "album/shut"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(tmp_path / name, tmp_path / folder / name)
    shutil.copy(tmp_path / "good.png", tmp_path / "album/good.png")
    shut = [*tmp_path.glob("no.*"), tmp_path / "shut", tmp_path / "album/shut"]
    for path in shut:
        path.chmod(0)
    (tmp_path / "listed").chmod(0o400)
    yield tmp_path
    for path in (*shut, tmp_path / "listed"):
        path.chmod(0o700)


def test_one_input(run: Run, here: Path) -> None:
    lines = {
        "compress no.png -o x.vaec": "no.png",
        "compress shut/a.png -o x.vaec": "shut/a.png",
        "compress listed/good.png -o x.vaec": "listed/good.png",
        "compress no.npy -o x.vaec": "no.npy",
        "compress --lossless shut -o x.vaec": "shut",
        "compress good.png --model no.safetensors -o x.vaec": "no.safetensors",
        "decompress no.vaec -o x.png": "no.vaec",
        "decompress shut/a.vaec -o x.png": "shut/a.vaec",
        "decompress -t no.vaec": "no.vaec",
        "decompress good.vaec --model no.safetensors -o x.png": "no.safetensors",
        "info no.vaec": "no.vaec",
        "info shut/a.vaec": "shut/a.vaec",
        "thumbnail no.vaec t.png": "no.vaec",
        "thumbnail good.vaec shut/t.png": "shut/t.png",
        "evaluate shut": "shut",
        "evaluate listed -q 50": "listed/good.png",
        "sample --model no.safetensors -o x.png": "no.safetensors",
        "latents no.npy --model digits-plane -o x.png": "no.npy",
        "train shut -o x.safetensors --steps 1": "shut",
    }
    for (line, where), (code, said) in zip(lines.items(), run(*lines), strict=True):
        assert (line, code, said) == (line, 1, f"vaecodec: {where}: {DENIED}\n")
    assert not list(here.glob("x.*"))


def test_the_other_inputs_are_done(run: Run, here: Path) -> None:
    lines = {
        "compress shut/a.png good.png -o out1/": ["shut/a.png"],
        "compress no.png good.png -o out2/": ["no.png"],
        "compress -r album shut/a.png -o out3": ["album/shut", "shut/a.png"],
        "compress -r listed -o out4": ["listed/good.png"],
        "decompress shut/a.vaec good.vaec -o out5/": ["shut/a.vaec"],
    }
    for (line, failures), (code, said) in zip(lines.items(), run(*lines), strict=True):
        wanted = [f"vaecodec: {where}: {DENIED}" for where in failures]
        assert (line, code, [one for one in said.splitlines() if "warning" not in one]) == (line, 1, wanted)
    for made in ("out1/good.vaec", "out2/good.vaec", "out3/good.vaec", "out5/good.png"):
        assert (here / made).exists(), made


def test_programs_are_told_the_same_code(run: Run, here: Path) -> None:
    program = ["-m", "vaecodec", "compress", "--json"]
    as_others = _AS_OTHERS if os.geteuid() == 0 else []
    for arguments in (["shut/a.png"], ["no.png", "-f"], ["-r", "shut"]):
        done = subprocess.run(
            [*as_others, sys.executable, *program, *arguments], cwd=here, capture_output=True, text=True, check=False
        )
        assert (done.returncode, json.loads(done.stdout)["exit_code"]) == (1, 1)
