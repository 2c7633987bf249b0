"""Whole folders, with a codec that is small enough to go through many files in this process."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vaecodec.api
from vaecodec.cli import main
from vaecodec.cli.progress import status_line
from vaecodec.picture import read_picture


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], api: Any) -> Any:
    def run(*arguments: str | Path) -> SimpleNamespace:
        code = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Three pictures in a tree, a broken one, a note and a hidden file."""
    album = tmp_path / "album"
    for number, name in enumerate(("a.png", "trip/b.JPG", "trip/deep/c.png")):
        path = album / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 9, 3), 50 * number, np.uint8)).save(path)
    (album / "trip/broken.png").write_bytes(b"no picture")
    (album / "note.txt").write_text("hello")
    (album / "trip/._b.JPG").write_bytes(b"what a Mac leaves")
    return album


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_tree_is_kept_there_and_back(run: Any, album: Path, tmp_path: Path) -> None:
    packed, back = tmp_path / "packed", tmp_path / "back"
    result = run("compress", album, "-r", "-o", packed, "-q", "100")
    assert tree(packed) == ["a.vaec", "trip/b.vaec", "trip/deep/c.vaec"]
    assert result.code == 1
    assert result.out.splitlines()[-1] == "3 compressed, 2 other files left alone, 1 failed:"
    assert result.err == f"vaecodec: {album / 'trip/broken.png'}: not a picture of a known format\n"
    result = run("decompress", "-r", packed, "-o", back)
    assert (result.code, result.err.count("warning")) == (0, 0)
    assert tree(back) == ["a.png", "trip/b.png", "trip/deep/c.png"]
    assert result.out.splitlines()[-1] == "3 decompressed"
    assert read_picture(back / "trip/deep/c.png").samples.mean() == 100


def test_what_is_finished_is_skipped_and_said(
    run: Any, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The codec of these tests makes no real files.
    monkeypatch.setattr("vaecodec.cli.folders.is_whole", lambda _: True)
    (album / "trip/broken.png").unlink()
    packed = tmp_path / "packed"
    run("compress", album, "-r", "-o", packed)
    (packed / "a.vaec").unlink()
    (packed / "trip/b.vaec").write_bytes(b"kept")
    os.utime(packed / "trip/b.vaec", (2e9, 2e9))
    result = run("compress", album, "-r", "-o", packed)
    assert result.code == 0
    assert (
        result.out.splitlines()[-1]
        == "1 compressed, 2 finished before and skipped (-f does them again), 2 other files left alone"
    )
    assert (packed / "trip/b.vaec").read_bytes() == b"kept"
    assert run("compress", album, "-r", "-o", packed, "-f").out.splitlines()[-1].startswith("3 compressed")
    assert (packed / "trip/b.vaec").read_bytes() != b"kept"


def test_an_output_that_is_older_than_its_input_is_not_overwritten_unasked(
    run: Any, album: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "packed"
    run("compress", album, "-r", "-o", packed)
    os.utime(album / "a.png", (2e9, 2e9))
    result = run("compress", album, "-r", "-o", packed)
    assert result.code == 1
    assert f"{packed / 'a.vaec'}: exists already" in result.err
    assert "use -f" in result.err


def test_without_an_output_folder_the_files_lie_side_by_side(run: Any, album: Path) -> None:
    run("compress", "-r", album, "--quiet")
    assert (album / "trip/deep/c.vaec").exists()
    result = run("decompress", "-r", "-t", album)
    assert result.code == 0
    assert result.out.splitlines()[-1] == "3 tested, 6 other files left alone"


def test_an_output_folder_inside_is_not_gone_through(run: Any, album: Path) -> None:
    run("compress", "-r", album, "-o", album / "packed")
    (album / "packed/x.png").write_bytes(b"no picture")
    assert "x.png" not in run("compress", "-r", album, "-o", album / "packed").err


def test_two_pictures_of_one_name_are_a_failure_of_the_second_alone(run: Any, album: Path, tmp_path: Path) -> None:
    Image.new("L", (3, 3)).save(album / "a.bmp")
    result = run("compress", "-r", album, "-o", tmp_path / "packed")
    assert f"{album / 'a.png'}: would have the output of {album / 'a.bmp'}" in result.err
    assert (result.code, len(tree(tmp_path / "packed"))) == (1, 3)


def test_files_may_stand_among_folders(run: Any, album: Path, photograph: Path, tmp_path: Path) -> None:
    assert run("compress", "-r", album / "trip/deep", photograph, "-o", tmp_path / "packed").code == 0
    assert tree(tmp_path / "packed") == ["c.vaec", "photo.vaec"]


def test_json_is_one_object_a_line_without_a_summary(run: Any, album: Path, tmp_path: Path) -> None:
    result = run("compress", "-r", album, "-o", tmp_path / "packed", "--json")
    reports = [json.loads(line) for line in result.out.splitlines()]
    assert [report.get("width") for report in reports] == [9, 9, 9, None]
    assert (reports[3]["input"], reports[3]["exit_code"]) == (str(album / "trip/broken.png"), 3)


@pytest.mark.parametrize("arguments", [["-r", "-"], ["-r", ".", "-o", "-"], ["."], ["-r", ".", "-o", "file"]])
def test_what_makes_no_sense_with_folders_is_refused(
    run: Any, album: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(album)
    (album / "file").write_bytes(b"")
    result = run("compress", *arguments)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert tree(album) == sorted(
        ["a.png", "file", "note.txt", "trip/._b.JPG", "trip/b.JPG", "trip/broken.png", "trip/deep/c.png"]
    )


def test_a_source_that_vanishes_is_named_with_its_output(
    run: Any, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (album / "trip/broken.png").unlink()
    encode = vaecodec.api.Codec.encode

    def encode_while_another_is_deleted(*arguments: Any, **given: Any) -> Any:
        (album / "trip/b.JPG").unlink(missing_ok=True)
        return encode(*arguments, **given)

    monkeypatch.setattr("vaecodec.api.Codec.encode", encode_while_another_is_deleted)
    packed = tmp_path / "packed"
    result = run("compress", "-r", album, "-o", packed)
    assert (result.code, tree(packed)) == (1, ["a.vaec", "trip/deep/c.vaec"])
    assert result.out.splitlines()[-1] == "2 compressed, 2 other files left alone, 1 failed:"
    assert result.err == f"vaecodec: {album / 'trip/b.JPG'} -> {packed / 'trip/b.vaec'}: no such file\n"


@pytest.mark.parametrize(
    ("function", "number"), [("os.fsync", errno.ENOSPC), ("vaecodec.atomic._scratch", errno.EROFS)]
)
def test_a_full_disk_and_one_that_takes_nothing_are_said_once_for_each_picture(
    run: Any, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, number: int
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    (album / "trip/broken.png").unlink()
    packed = tmp_path / "packed"
    with monkeypatch.context() as patch:
        patch.setattr(function, refuse)
        result = run("compress", "-r", album, "-o", packed)
    assert (result.code, tree(packed)) == (1, [])
    assert result.out.splitlines()[-1] == "0 compressed, 2 other files left alone, 3 failed:"
    pairs = (("a.png", "a.vaec"), ("trip/b.JPG", "trip/b.vaec"), ("trip/deep/c.png", "trip/deep/c.vaec"))
    said = result.err.splitlines()
    assert len(said) == len(pairs)
    for line, (source, target) in zip(said, pairs, strict=True):
        assert line.startswith(f"vaecodec: {album / source} -> {packed / target}: {os.strerror(number).lower()}: ")
        assert line.endswith(" with -o")
    assert run("compress", "-r", album, "-o", packed).code == 0


def test_a_folder_that_cannot_be_made_costs_what_would_go_into_it(run: Any, album: Path, tmp_path: Path) -> None:
    (album / "trip/broken.png").unlink()
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "trip").write_text("a file in its place")
    result = run("compress", "-r", album, "-o", packed)
    assert result.code == 1
    assert result.out.splitlines()[-1] == "1 compressed, 2 other files left alone, 2 failed:"
    lines = result.err.splitlines()
    assert lines[0].startswith(f"vaecodec: {album / 'trip/b.JPG'} -> {packed / 'trip/b.vaec'}: ")
    assert lines[1].startswith(f"vaecodec: {album / 'trip/deep/c.png'} -> {packed / 'trip/deep/c.vaec'}: ")
    assert (len(lines), tree(packed)) == (2, ["a.vaec", "trip"])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_a_folder_is_not_waited_for(
    run: Any, album: Path, tmp_path: Path, never_blocks: Callable[[Path], None]
) -> None:
    (album / "trip/broken.png").unlink()
    os.mkfifo(album / "trip/pipe.png")
    never_blocks(album / "trip/pipe.png")
    result = run("compress", "-r", album, "-o", tmp_path / "packed")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[-1] == "3 compressed, 3 other files left alone"


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
def test_names_are_printed_so_that_a_terminal_obeys_none_of_them(run: Any, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    for name in ("two\nlines", "red\x1b[31m", "bell\x07"):
        Image.new("L", (3, 3)).save(folder / f"{name}.png")
    (folder / "broken\x1b[31m.png").write_bytes(b"no picture")
    result = run("compress", "-r", folder, "-o", tmp_path / "packed")
    assert tree(tmp_path / "packed") == ["bell\x07.vaec", "red\x1b[31m.vaec", "two\nlines.vaec"]
    assert (len(result.out.splitlines()), len(result.err.splitlines())) == (4, 1)
    assert "two\\nlines.png' -> " in result.out
    assert "red\\x1b[31m.png' -> " in result.out
    assert not set(map(chr, range(32))) & set((result.out + result.err).replace("\n", ""))


def test_an_empty_folder_is_done_at_once(run: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("compress", "-r", tmp_path / "empty")
    assert (result.code, result.out) == (0, "0 compressed\n")


def test_the_progress_line_has_a_bar_the_rate_and_the_time_left() -> None:
    assert status_line(0, 200, 0.0, "a.png") == "[--------------------] 0/200  a.png"
    assert status_line(50, 200, 20.0, "b.png") == "[#####---------------] 50/200  2.5/s  1:00 left  b.png"
    assert status_line(1, 2000, 4.0, "c.png") == "[--------------------] 1/2000  4.0 s each  2:13:16 left  c.png"
