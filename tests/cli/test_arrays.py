"""The command line on arrays of small items, from training to the array back, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
from blobs import blobs

from vaecodec.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Items, and two models trained on them by the command."""
    folder = tmp_path_factory.mktemp("arrays")
    np.save(folder / "items.npy", blobs(400, 9, 8, 3)[..., ::-1])
    common = ["--family", "vae", "--steps", "30", "--batch", "16", "--validate-every", "15", "--latents", "3"]
    items = str(folder / "items.npy")
    for name, options in (
        ("lossless", ["--preset", "lossless", "--widths", "8,12"]),
        ("lossy", ["--likelihood", "squared"]),
    ):
        assert main(["train", items, "-o", str(folder / f"{name}.safetensors"), *common, *options]) == 0
    return folder


def run(*arguments: object, threads: int = 1) -> subprocess.CompletedProcess[str]:
    """The command in another process."""
    return subprocess.run(
        [sys.executable, "-m", "vaecodec", *map(str, arguments)], capture_output=True, text=True, check=False,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )  # fmt: skip


def test_an_array_comes_back_bit_for_bit_in_another_process_and_with_two_threads(folder: Path, tmp_path: Path) -> None:
    model, packed = folder / "lossless.safetensors", tmp_path / "items.vaec"
    done = run("compress", folder / "items.npy", "--lossless", "--model", model, "-o", packed)
    assert done.returncode == 0, done.stderr
    assert "400 × 9 × 8 × 3" in done.stdout and "negative ELBO" in done.stdout
    for threads in (1, 2):
        out = tmp_path / f"{threads}.npy"
        done = run("decompress", packed, "-o", out, "--model", model, threads=threads)
        assert done.returncode == 0, done.stderr
        assert np.array_equal(np.load(out), np.load(folder / "items.npy"))


def test_lossy_and_test_and_info(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, packed = str(folder / "lossy.safetensors"), str(tmp_path / "items.vaec")
    assert main(["compress", str(folder / "items.npy"), "-q", "60", "--model", model, "-o", packed, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["bytes"] == Path(packed).stat().st_size and report["psnr"] > 5
    assert main(["decompress", "-t", packed, "--model", model]) == 0
    assert "ok, 400 × 9 × 8 × 3 uint8, values match" in capsys.readouterr().out
    assert main(["info", packed, "--json", "--model", model]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["kind"] == "lossy array" and facts["quality"] == 60 and facts["model"] == "lossy"
    # The name of the output follows from what is in the file.
    assert main(["decompress", packed, "--model", model]) == 0
    assert np.load(tmp_path / "items.npy").shape == (400, 9, 8, 3)


def test_what_goes_wrong_is_one_line_and_an_exit_code(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, items = str(folder / "lossless.safetensors"), str(folder / "items.npy")
    np.save(tmp_path / "floats.npy", np.zeros((5, 9, 8, 3)))
    np.save(tmp_path / "other.npy", np.zeros((5, 30, 8), np.uint8))
    packed = str(tmp_path / "a.vaec")
    assert main(["compress", items, "--lossless", "--model", model, "-o", packed, "--quiet"]) == 0
    capsys.readouterr()
    for arguments, code, message in (
        (["compress", str(tmp_path / "floats.npy"), "--lossless", "--model", model], 3, "floats.npy: values are float64, uint8"),
        (["compress", str(tmp_path / "other.npy"), "--lossless", "--model", model], 3, "items are 30 × 8 × 1"),
        (["compress", str(tmp_path / "other.npy"), "--lossless"], 4, "no installed model takes items of 30 × 8 × 1"),
        (["compress", str(tmp_path / "none.npy"), "--lossless", "--model", model], 3, "none.npy: no such file"),
        (["compress", items, "--model", model, "-o", packed, "-f"], 2, "use --lossless"),
        (["compress", items, "--lossless", "-q", "5", "--model", model], 2, "exclude each other"),
        (["compress", items, "a.png", "--lossless"], 2, "arrays and pictures in one command"),
        (["compress", "a.png", "--lossless"], 3, "a.png: no such file"),
        (["compress", items, "--size", "3kB"], 2, "arrays take none of --size"),
        (["compress", items, "--lossless", "--model", model, "-o", packed], 2, "exists already"),
        (["decompress", packed, "-o", str(tmp_path / "b.png"), "--model", model], 2, "ends in .npy"),
        (["decompress", packed, "--region", "0,0,1,1", "--model", model], 2, "holds an array"),
        (["decompress", packed], 4, "no weights here have the model id"),
        (["info", packed, "--latents", "--model", model], 2, "no digest"),
    ):  # fmt: skip
        assert main(arguments) == code, arguments
        printed = capsys.readouterr()
        assert message in printed.err and printed.err.count("\n") == 1, (arguments, printed.err)
    assert not (tmp_path / "floats.vaec").exists() and not (tmp_path / "b.png").exists()


def test_the_options_of_both_trainers_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    assert "--crop" in capsys.readouterr().out
    assert main(["train", "--family", "ae", "--help"]) == 0
    printed = capsys.readouterr().out
    assert "--free-bits" in printed and "--crop" not in printed
