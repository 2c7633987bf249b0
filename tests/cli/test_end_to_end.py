"""The commands as a user runs them: real processes, the shipped weights, a real photograph."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vaecodec

COMMAND = [sys.executable, "-m", "vaecodec"]


def run(*arguments: str | Path, cwd: Path, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*COMMAND, *map(str, arguments)], cwd=cwd, input=data, capture_output=True, check=False)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    from skimage import data

    path = tmp_path / "photo.png"
    Image.fromarray(data.astronaut()[:200, 150:400]).save(path)
    return path


def test_compress_decompress_and_the_report_agree_with_the_files(photo: Path, tmp_path: Path) -> None:
    done = run("compress", photo, "-q", "60", "--check", "--json", "--measure", "ms-ssim", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    file = tmp_path / "photo.vaec"
    size = file.stat().st_size
    assert report["bytes"] == size
    assert report["bpp"] == 8 * size / (250 * 200)
    assert 0.9 < report["estimate_bpp"] / report["bpp"] < 1

    done = run("decompress", file, "-o", "back.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    original, decoded = np.array(Image.open(photo)), np.array(Image.open(tmp_path / "back.png"))
    mse = ((original.astype(float) - decoded) ** 2).mean()
    assert report["psnr"] == pytest.approx(10 * np.log10(255**2 / mse), abs=1e-6)
    assert 0.9 < report["ms_ssim"] < 1

    assert run("decompress", "-t", file, cwd=tmp_path).returncode == 0
    info = json.loads(run("info", "--json", "--latents", file, cwd=tmp_path).stdout)
    assert (info["width"], info["height"], info["quality"]) == (250, 200, 60)
    assert len(info["latents_sha256"]) == 64
    assert photo.exists()


def test_png_is_not_advised_for_what_it_loses_too(tmp_path: Path) -> None:
    picture = vaecodec.Picture(np.zeros((8, 8, 3), np.uint8), xmp=b"<x/>", extended_xmp=b"<more/>")
    (tmp_path / "a.vaec").write_bytes(vaecodec.compress(picture))
    for name, said in (
        ("b.png", "png cannot hold extended XMP"),
        ("b.tiff", "tiff cannot hold extended XMP"),
        ("b.bmp", "bmp cannot hold xmp, extended XMP: use --format png to keep xmp"),
    ):
        done = run("decompress", "a.vaec", "-o", name, cwd=tmp_path)
        assert (done.returncode, done.stderr.decode()) == (0, f"vaecodec: warning: {name}: {said}{os.linesep}")


@pytest.mark.parametrize("output", ["back.jpg", "back.png", "back.tif"])
def test_density_comes_through_both_commands(photo: Path, tmp_path: Path, output: str) -> None:
    with Image.open(photo) as image:
        image.save(tmp_path / "scan.jpg", dpi=(300, 150))
    for arguments in (("compress", "scan.jpg"), ("decompress", "scan.vaec", "-o", output)):
        assert run(*arguments, cwd=tmp_path).returncode == 0
    with Image.open(tmp_path / output) as back:
        assert back.info["dpi"] == pytest.approx((300, 150), abs=0.02)


def test_pipes_carry_files_and_nothing_else(photo: Path, tmp_path: Path) -> None:
    packed = run("compress", "-", "-o", "-", "--quiet", cwd=tmp_path, data=photo.read_bytes())
    assert packed.returncode == 0, packed.stderr
    back = run("decompress", "-", "-o", "-", "--quiet", cwd=tmp_path, data=packed.stdout)
    assert back.returncode == 0, back.stderr
    run("compress", photo, "--quiet", cwd=tmp_path)
    assert (tmp_path / "photo.vaec").read_bytes() == packed.stdout
    assert back.stdout.startswith(b"\x89PNG")


def test_an_existing_output_is_refused_and_time_stamps_are_carried(photo: Path, tmp_path: Path) -> None:
    os.utime(photo, (1_500_000_000, 1_500_000_000))
    assert run("compress", photo, cwd=tmp_path).returncode == 0
    assert (tmp_path / "photo.vaec").stat().st_mtime == 1_500_000_000
    before = (tmp_path / "photo.vaec").read_bytes()
    refused = run("compress", photo, "-q", "10", cwd=tmp_path)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    assert (tmp_path / "photo.vaec").read_bytes() == before
    assert run("compress", photo, "-q", "10", "-f", cwd=tmp_path).returncode == 0
    assert (tmp_path / "photo.vaec").read_bytes() != before


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("none.vaec", None, 3),
        ("foreign.vaec", b"GIF89a and so on", 3),
        ("newer.vaec", b"\x89VAEC\x02", 3),
        ("empty.vaec", b"", 3),
    ],
)
def test_bad_files_get_one_line_and_an_exit_code(tmp_path: Path, name: str, content: bytes | None, code: int) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    for command in (["decompress"], ["decompress", "-t"], ["info"]):
        done = run(*command, name, cwd=tmp_path)
        assert done.returncode == code
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith(b"vaecodec: ")
    assert [path.name for path in tmp_path.iterdir()] in ([name], [])


def test_a_truncated_file_leaves_no_output(photo: Path, tmp_path: Path) -> None:
    run("compress", photo, cwd=tmp_path)
    file = tmp_path / "photo.vaec"
    file.write_bytes(file.read_bytes()[:-5])
    photo.unlink()
    done = run("decompress", file, cwd=tmp_path)
    assert done.returncode == 3
    assert [path.name for path in tmp_path.iterdir()] == ["photo.vaec"]


def test_missing_weights_have_their_exit_code(photo: Path, tmp_path: Path) -> None:
    assert run("compress", photo, "--model", "nonesuch", cwd=tmp_path).returncode == 4
    assert run("compress", photo, "--model", "none.safetensors", cwd=tmp_path).returncode == 4


def test_models_and_evaluate_print_tables(photo: Path, tmp_path: Path) -> None:
    out = run("models", cwd=tmp_path).stdout.decode()
    assert "psnr" in out
    done = run("evaluate", tmp_path, "-q", "10,50,90", "--csv", "rows.csv", "--plot", "plot.png", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "rows.csv").read_text().count("vaecodec") >= 3
    with Image.open(tmp_path / "plot.png") as plot:
        assert plot.width > 300


def test_the_demo_runs_and_writes_its_picture(tmp_path: Path) -> None:
    done = run("demo", "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"JPEG" in done.stdout
    assert b"AVIF" in done.stdout
    assert (tmp_path / "out" / "parrots-side-by-side.png").is_file()


def test_help_takes_less_than_a_third_of_a_second_of_a_processor(tmp_path: Path) -> None:
    """Processor time, so that other work on the machine does not count; bench/measure/speed.py has the wall clock."""
    times = []
    for _ in range(3):
        before = os.times()
        assert run("--help", cwd=tmp_path).returncode == 0
        after = os.times()
        times.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(times) < 0.3


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no such name here")
@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_has_other_names(photo: Path, tmp_path: Path, name: str) -> None:
    done = run("compress", photo, "-o", name, "-f", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert vaecodec.decompress(done.stdout).samples.shape == (200, 250, 3)
    assert b" bytes, quality" in done.stderr


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="pipes have no paths here")
def test_an_output_may_be_the_path_of_a_pipe(photo: Path, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    command = [*COMMAND, "compress", str(photo), "-f", "-o", f"/dev/fd/{writer}"]
    with subprocess.Popen(command, cwd=tmp_path, pass_fds=[writer], stdout=subprocess.PIPE):
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            assert vaecodec.decompress(pipe.read()).samples.shape == (200, 250, 3)
