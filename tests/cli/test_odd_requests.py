"""What people type by mistake, or meet once a year: one line that says what is wrong, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vaecodec.demo
from vaecodec import Codec
from vaecodec.cli import main
from vaecodec.codec.options import Tiling
from vaecodec.errors import DamagedFileError, UsageError
from vaecodec.evaluation.bd_rate import bd_rate


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint32).reshape(64, 64, 3).astype(np.uint8)).save(
        tmp_path / "a.png"
    )
    return tmp_path / "a.png"


@pytest.mark.parametrize(
    "arguments",
    [["compress", ""], ["compress", "-r", ""], ["decompress", ""], ["info", ""], ["evaluate", ""], ["train", "", "-o", "x"], ["compress", "a.png", "-o", ""]],
)  # fmt: skip
def test_an_empty_name_is_not_the_current_folder(
    arguments: list[str], picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(picture.parent)
    assert main(arguments) == 2
    assert "an empty name (a variable of the shell that is not set?)" in capsys.readouterr().err
    assert list(picture.parent.iterdir()) == [picture]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("command", ["compress", "info"])
def test_a_link_that_leads_nowhere_is_named(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    link = tmp_path / "a.png"
    link.symlink_to("/nowhere.png")
    assert main([command, str(link)]) == 3
    assert "it is a link to /nowhere.png, which is not there" in capsys.readouterr().err


@pytest.mark.parametrize(("limit", "code"), [("0.004MP", 5), ("0.0041MP", 0), ("0.000005GP", 0), ("0", 2), ("0.2", 2)])
def test_limits_have_fractions(limit: str, code: int, picture: Path) -> None:
    assert main(["compress", str(picture), "--limit", limit, "-f"]) == code


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", ["info a.vaec", "--help", "models"])
def test_a_full_standard_output_is_named_and_not_the_input(arguments: str, picture: Path) -> None:
    assert main(["compress", str(picture)]) == 0
    line = f'"{sys.executable}" -m vaecodec {arguments} >/dev/full'
    done = subprocess.run(line, shell=True, cwd=picture.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "vaecodec: standard output: no space left on device\n")


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="everything may be written")
def test_a_folder_that_may_not_be_written_is_found_before_the_work(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = picture.parent / "closed"
    closed.mkdir(mode=0o500)
    assert main(["evaluate", str(picture.parent), "--csv", str(closed / "rows.csv")]) == 1
    assert "rows.csv: permission denied" in capsys.readouterr().err


def test_a_demo_that_is_interrupted_leaves_nothing_and_runs_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    codec = Codec("eye")
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(vaecodec.demo, "write_picture", interrupted)
        vaecodec.demo.demonstrate(codec, tmp_path / "demo")
    assert not (tmp_path / "demo").exists()
    assert len(vaecodec.demo.demonstrate(codec, tmp_path / "demo").files) == 8


@pytest.mark.parametrize(
    "arguments",
    [
        ["compress", "-r", "missing", "-o", "new/out"],
        ["compress", "-r", "missing", "broken.png", "-o", "new/out", "-j", "2"],
        ["compress", "broken.png", "-o", "new/out/"],
        ["compress", "missing.npy", "-o", "new/out/"],
        ["decompress", "-r", "missing", "-o", "new/out"],
        ["decompress", "broken.vaec", "-o", "new/out/"],
        ["demo", "--model", "psnr", "-o", "new/out"],
    ],
)
def test_a_command_that_fails_leaves_no_empty_folder(
    arguments: list[str], picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.chdir(picture.parent)
    monkeypatch.setattr(vaecodec.demo, "at_equal_bytes", fail)
    for name in ("broken.png", "broken.vaec"):
        Path(name).write_bytes(b"nothing")
    assert main(arguments) != 0
    assert not Path("new").exists()


def test_a_folder_for_outputs_is_kept_where_one_of_them_was_written(
    picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(picture.parent)
    Path("album/broken").mkdir(parents=True)
    Path("album/broken/b.png").write_bytes(b"nothing")
    picture.rename("album/a.png")
    assert main(["compress", "-r", "album", "-o", "new/out"]) == 1
    assert [str(path) for path in sorted(Path("new").rglob("*"))] == ["new/out", "new/out/a.vaec"]


def test_bytes_after_the_last_tile_do_not_hide_the_tiles(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compress", str(picture)]) == 0
    file = picture.with_suffix(".vaec")
    right = picture.with_name("right.png")
    assert main(["decompress", str(file), "-o", str(right)]) == 0
    file.write_bytes(file.read_bytes() + b"more")
    assert main(["decompress", str(file), "-f"]) == 3
    assert "4 bytes follow the last tile" in capsys.readouterr().err
    assert main(["decompress", "--keep-going", str(file), "-o", str(picture.with_name("kept.png"))]) == 0
    assert np.array_equal(np.asarray(Image.open(picture.with_name("kept.png"))), np.asarray(Image.open(right)))


def test_one_point_is_not_points() -> None:
    with pytest.raises(UsageError, match="the tested curve has 1 point: BD-rate needs"):
        bd_rate([(x, x) for x in range(1, 9)], [(1, 1)])


@pytest.mark.parametrize("family", [[], ["--family", "vae"]])
def test_the_trainers_help_needs_no_torch(family: list[str]) -> None:
    program = "import sys; sys.modules['torch'] = None; from vaecodec.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "train", *family, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Optimiser:" in done.stdout


def test_a_thumbnail_is_never_written_over_anything_but_a_png(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compress", str(picture)]) == 0
    file = picture.with_suffix(".vaec")
    whole, note = file.read_bytes(), picture.with_name("note")
    note.write_text("keep me")
    for target in (file, note):
        assert main(["thumbnail", str(file), str(target)]) == 2
        assert "exists and is no PNG, so it stays" in capsys.readouterr().err
    assert (file.read_bytes(), note.read_text()) == (whole, "keep me")
    empty = picture.with_name("made-by-a-file-manager")
    empty.touch()
    for _ in range(2):
        assert main(["thumbnail", str(file), str(empty)]) == 0
        assert empty.read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode elsewhere")
def test_rows_name_pictures_whose_names_are_no_unicode(picture: Path) -> None:
    picture.rename(picture.with_name(os.fsdecode(b"lat\xe9.png")))
    assert main(["evaluate", str(picture.parent), "-q", "50", "--csv", str(picture.parent / "rows.csv")]) == 0
    assert b"lat\xe9.png" in (picture.parent / "rows.csv").read_bytes()


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="there is no /proc")
def test_what_cannot_be_written_is_named_and_not_the_temporary_file(
    picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compress", str(picture), "-o", "/proc/a.vaec", "-f"]) != 0
    assert "/proc/a.vaec: " in (said := capsys.readouterr().err) and ".part" not in said


def test_a_damaged_output_is_not_counted_as_finished(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = picture.parent / "in", picture.parent / "out"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.png").write_bytes(picture.read_bytes())
    assert main(["compress", "-r", str(folder), "-o", str(out), "--quiet"]) == 0
    whole = (out / "a.vaec").read_bytes()
    (out / "b.vaec").write_bytes(b"")
    (out / "c.vaec").write_bytes(whole[:-1])
    capsys.readouterr()
    assert main(["compress", "-r", str(folder), "-o", str(out)]) == 1
    said = capsys.readouterr()
    assert said.out == "0 compressed, 1 finished before and skipped (-f does them again), 2 failed:\n"
    assert said.err.count("exists, and is damaged or cut short: remove it, and it is made anew\n") == 2
    (out / "b.vaec").unlink()
    (out / "c.vaec").unlink()
    assert main(["compress", "-r", str(folder), "-o", str(out), "--quiet"]) == 0
    assert [path.read_bytes() for path in sorted(out.iterdir())] == [whole] * 3


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_folder_with_nothing_in_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    assert main(["compress", "-r", str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert said.out == "0 compressed, 1 linked folder not followed\n"
    assert said.err == "vaecodec: there is nothing to do in this folder: check the path\n"


@pytest.mark.parametrize("option", ["--psnr", "--ssimulacra2"])
def test_the_most_that_is_told_can_be_asked_for(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(3)
    for seed in range(4):
        noise = rng.normal(128, 12 * (seed + 1), (64, 64, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{seed}.png")
        asked = ["compress", str(tmp_path / f"{seed}.png"), "-f", option]
        assert main([*asked, "99"]) == 1
        most = capsys.readouterr().err.split("reaches at most ")[1].split()[0].rstrip(",")
        assert main([*asked, most]) == 0, most


def test_a_rate_is_told_as_it_was_asked_for(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compress", str(picture), "--bpp", "0.00001"]) == 1
    assert "a rate of 1e-05 bits per pixel cannot be reached" in capsys.readouterr().err


def test_a_folder_as_second_name_is_asked_about(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (picture.parent / "there").mkdir()
    for name in (f"{picture.parent}/there", f"{picture.parent}/new/"):
        assert main(["compress", str(picture), name]) == 2
        assert f"is a folder: is it where the output goes? Then say -o {name.rstrip('/')}/" in capsys.readouterr().err
    assert sorted(path.name for path in picture.parent.iterdir()) == ["a.png", "there"]


def test_a_dash_as_second_name_is_a_pipe(picture: Path) -> None:
    command = [sys.executable, "-m", "vaecodec"]
    data = subprocess.run([*command, "compress", str(picture), "-"], capture_output=True, check=True).stdout
    assert data == Codec("eye").compress(picture)
    (picture.parent / "b.vaec").write_bytes(data)
    png = subprocess.run([*command, "decompress", str(picture.parent / "b.vaec"), "-"], capture_output=True, check=True)
    assert png.stdout.startswith(b"\x89PNG")
    assert sorted(path.name for path in picture.parent.iterdir()) == ["a.png", "b.vaec"]


def test_a_region_is_decoded_where_only_other_tiles_are_damaged(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    samples = rng.normal(128, 25, (96, 256, 3)).clip(0, 255).astype(np.uint8)
    codec = Codec("eye")
    data = bytearray(codec.compress(samples, tiling=Tiling(one_tile_pixels=64 * 64, exponent=6, screen_exponent=6)))
    data[-20] ^= 1
    (tmp_path / "a.vaec").write_bytes(data)
    assert main(["decompress", str(tmp_path / "a.vaec"), "--region", "0,0,40,40"]) == 0
    with pytest.raises(DamagedFileError):
        codec.decompress_region(bytes(data), (200, 60, 40, 30))
    assert main(["decompress", str(tmp_path / "a.vaec"), "--region", "200,60,40,30", "-f"]) == 3


def test_a_read_only_file_system_is_named(
    picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vaecodec.atomic.os.access", lambda *_: False)
    monkeypatch.setattr("vaecodec.atomic._is_read_only", lambda _: True)
    assert main(["compress", str(picture)]) == 1
    assert capsys.readouterr().err.endswith("read-only file system: write to another folder with -o\n")
    assert main(["demo", "-o", str(picture)]) == 2
    assert main(["desktop", "--folder", str(picture)]) == 2
    assert capsys.readouterr().err.count("is a file: name a folder") == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_advice_names_an_option_that_the_command_has(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compress", str(picture)]) == 0
    assert main(["thumbnail", str(picture.parent / "a.vaec"), "/dev/full"]) != 0
    assert "-o" not in capsys.readouterr().err
    assert main(["compress", str(picture), "-o", "/dev/full"]) == 1
    assert capsys.readouterr().err.endswith("no space left on device: free some, or write to another disk with -o\n")


def test_a_file_that_begins_with_a_dash(
    picture: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(picture.parent)
    picture.rename("-dash.png")
    assert main(["compress", "-dash.png"]) == 2
    assert capsys.readouterr().err == f"vaecodec: -dash.png: begins with a dash as options do: say .{os.sep}-dash.png\n"
    assert main(["compress", f".{os.sep}-dash.png"]) == 0


def test_the_region_of_which_file_is_outside(picture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compress", str(picture)]) == 0
    assert main(["decompress", str(picture.with_suffix(".vaec")), "--region", "60,60,10,10", "-f"]) == 2
    assert "a.vaec: the region 60,60,10,10 does not lie inside the 64 × 64 picture" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_where_standard_error_is_full_the_exit_code_is_the_same(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "vaecodec", "compress", tmp_path / "none.png"], stderr=full, check=False
        )
    assert done.returncode == 3


@pytest.mark.parametrize("way", [["-r"], []], ids=["a folder", "two files"])
def test_a_file_that_needs_a_missing_library_is_named(
    way: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [Path(__file__).parents[1] / "golden" / "added" / f"short-{kind}.vaec" for kind in ("jpeg-xl", "png")]
    for file in files:
        (tmp_path / file.name).write_bytes(file.read_bytes())
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    inputs = [str(tmp_path)] if way else [str(tmp_path / file.name) for file in files]
    assert main(["decompress", *way, *inputs, "-o", f"{tmp_path}/out/"]) == 1
    said = capsys.readouterr().err
    assert "short-jpeg-xl.vaec: the lossless tile at (0, 0) is JPEG XL, which needs the package imagecodecs" in said
    assert [made.name for made in (tmp_path / "out").iterdir()] == ["short-png.png"]
