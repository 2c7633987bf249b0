from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vaecodec.cli import COMMANDS, main
from vaecodec.version import RELEASED, __version__


def test_help_answers_at_once_and_imports_nothing_heavy() -> None:
    heavy = ("torch", "numpy", "PIL", "matplotlib", "scipy", "constriction")
    code = (
        "import sys; from vaecodec.cli import main; code = main(['--help']); "
        f"sys.exit(code or ','.join(name for name in {heavy!r} if name in sys.modules) or 0)"
    )
    start = time.perf_counter()
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    for command in COMMANDS:
        assert f"  {command} " in result.stdout
    # A third of a second on a machine of its own; this bound only tells a slow machine from an import of torch.
    assert time.perf_counter() - start < 3


def test_decompress_imports_neither_readers_nor_processes(photograph: Path, tmp_path: Path) -> None:
    from vaecodec.api import compress

    file = tmp_path / "a.vaec"
    file.write_bytes(compress(photograph))
    unneeded = (
        "torch", "multiprocessing", "secrets", "PIL.ImageCms", "PIL.TiffImagePlugin",
        "vaecodec.picture.read_files", "vaecodec.picture.tiff_read",
    )  # fmt: skip
    code = (
        f"import sys; from vaecodec.cli import main; code = main(['decompress', {str(file)!r}, '--quiet']); "
        f"sys.exit(code or ','.join(name for name in {unneeded!r} if name in sys.modules) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (0, "")
    assert file.with_suffix(".png").is_file()


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vaecodec {__version__}{'' if RELEASED else ' (unreleased)'}\n"


def test_no_command_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "Pictures:" in capsys.readouterr().err


def test_an_unknown_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compres"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("vaecodec: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str], trainer: Any) -> None:
    assert main([command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: vaecodec {command}")


def test_info_for_people_and_for_programs(api: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.vaec"
    path.write_bytes(b"fake")
    assert main(["info", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "width:          7",
        "tiles[0].bytes: 3",
        "check:          none",
        "sections:       HEADER, DATA",
    ]
    assert main(["info", "--latents", "--json", str(path)]) == 0
    assert json.loads(capsys.readouterr().out)["latents"] == "ab"
    path.write_bytes(b"other")
    assert main(["info", str(path)]) == 3
    assert (
        capsys.readouterr().err == f"vaecodec: {path}: not a .vaec file: 'vaecodec compress' makes one of a picture\n"
    )


def test_models_are_listed(api: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    pictures, items = capsys.readouterr().out.split("\n\n")
    assert pictures.splitlines()[-1].split() == [
        "psnr", "0123456789abcdef", "14.6", "9.6", "10.5", "2.5", "psnr.safetensors"
    ]  # fmt: skip
    assert [line.split()[0] for line in items.splitlines()[2:]] == ["digits-lossless", "digits-plane", "digits"]
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["kmac_per_pixel"]["prior"] == 4.1


def test_evaluate_prints_curves_and_writes_rows_and_a_plot(
    api: Any, photograph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("scipy")
    pytest.importorskip("matplotlib")
    rows, plot = tmp_path / "rows.csv", tmp_path / "out.plot"
    assert main(["evaluate", str(tmp_path), "--csv", str(rows), "--plot", str(plot)]) == 0
    captured = capsys.readouterr()
    assert "vaecodec, mean of 1 pictures" in captured.out
    assert "JPEG, mean of 1 pictures" in captured.out
    assert "BD-rate against JPEG 4:2:0" in captured.out
    assert captured.err == ""
    with rows.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert {row["codec"] for row in read} == {"vaecodec", "JPEG"}
    assert [float(row["setting"]) for row in read if row["codec"] == "vaecodec"] == [10.0 * k for k in range(11)]
    assert plot.read_bytes()[1:4] == b"PNG"
    assert main(["evaluate", str(tmp_path), "--csv", str(rows)]) == 2
    assert main(["evaluate", str(tmp_path), "--csv", str(rows), "-f", "--quiet"]) == 0


def test_evaluate_checks_that_more_quality_is_more_bytes_and_a_higher_score(
    api: Any, photograph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The stand-in gives the same samples for qualities that are next to each other, which the check must find."""
    assert main(["evaluate", str(photograph.parent), "-q", "50,50.1", "--check", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["falls"]
    assert any("SSIMULACRA2 at 50," in line for line in found)
    assert main(["evaluate", str(photograph.parent), "-q", "50,50.1", "--check"]) == 1
    assert found[0] in capsys.readouterr().out
    assert main(["evaluate", str(photograph.parent), "-q", "10,50", "--check"]) == 0
    assert "rise at every step" in capsys.readouterr().out


def test_evaluate_with_few_qualities_says_why_there_is_no_bd_rate(
    api: Any, photograph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(photograph.parent), "-q", "50,10", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["bd_rate"] is None
    assert "2 points" in facts["bd_rate_note"]
    assert [point["setting"] for point in facts["curves"]["vaecodec"]] == [10, 50]


def test_evaluate_goes_on_without_a_picture_that_it_cannot_read(
    api: Any, photograph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photograph.parent / "bad.png").write_bytes(b"no picture")
    assert main(["evaluate", str(photograph.parent), "-q", "50"]) == 1
    captured = capsys.readouterr()
    assert "bad.png" in captured.err
    assert "mean of 1 pictures" in captured.out
    photograph.unlink()
    assert main(["evaluate", str(photograph.parent), "-q", "50"]) == 3


@pytest.mark.parametrize("qualities", ["", "a", "10,101", "10;20"])
def test_evaluate_refuses_lists_that_are_none(api: Any, tmp_path: Path, qualities: str) -> None:
    assert main(["evaluate", str(tmp_path), "-q", qualities]) == 2


@dataclass
class Settings:
    data: str = field(default=MISSING, metadata={"help": "folder"})  # type: ignore[arg-type]
    out: str = field(default=MISSING, metadata={"help": "weights"})  # type: ignore[arg-type]
    steps: int = field(default=100, metadata={"help": "number of steps"})
    learning_rate: float = field(default=1e-3, metadata={"help": "step size"})
    resume: str = field(default="", metadata={"help": "go on from this"})
    compile: bool = field(default=False, metadata={"help": "compile the model"})


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """Stands for vaecodec.training.image and its settings."""
    from vaecodec.cli import train as command_module

    given: list[Settings] = []
    for name, value in (("settings.TrainSettings", Settings), ("image.train", given.append)):
        place, _, attribute = f"vaecodec.training.{name}".rpartition(".")
        module = ModuleType(place)
        module.__dict__[attribute] = value
        monkeypatch.setitem(sys.modules, place, module)
    monkeypatch.setattr(command_module.command, "params", [])
    return given


def test_train_has_the_trainer_s_settings_as_options(
    trainer: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    assert "Number of steps.  [default: 100]" in text
    assert "--compile / --no-compile" in text
    assert main(["train", "pictures", "-o", "w", "--learning-rate", "0.5", "--compile"]) == 0
    assert trainer == [Settings("pictures", "w", 100, 0.5, "", True)]
    assert main(["train", "pictures"]) == 2
    assert main(["train", "pictures", "-o", "w", "--steps", "many"]) == 2


def test_the_demonstration_opens_with_the_picture_and_gives_ours_no_more_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "demo"
    import vaecodec.demo

    corner = vaecodec.demo.photograph()[:120, 140:260]
    monkeypatch.setattr(vaecodec.demo, "photograph", lambda: corner)
    assert main(["demo", "-o", str(folder)]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{folder / 'parrots-side-by-side.png'}: the original, JPEG, AVIF and ours at equal bytes\n")
    for size in vaecodec.demo.SIZES:
        bytes_of = {path.suffix: path.stat().st_size for path in folder.glob(f"parrots-{size}.*")}
        assert {".avif", ".vaec"} <= set(bytes_of)
        assert max(bytes_of.values()) == bytes_of[".avif"]
    assert all(name in text for name in ("vaecodec", "JPEG", "AVIF", "SSIMULACRA2", "PSNR"))
    assert main(["demo", "-o", str(folder)]) == 2


def test_the_demonstration_s_photograph_is_small_and_in_the_package() -> None:
    import vaecodec.demo

    assert vaecodec.demo.photograph().shape == (288, 416, 3)
    assert vaecodec.demo._PHOTOGRAPH.stat().st_size <= 150_000
