from __future__ import annotations

import io
import json
import os
import threading
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from vaecodec.cli import main
from vaecodec.codec.options import DEFAULT_MODEL
from vaecodec.picture import read_picture


class Result(SimpleNamespace):
    code: int
    out: str
    err: str


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes], api: Any) -> Any:
    def run(*arguments: str | Path) -> Result:
        code = main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return Result(code=code, out=out.decode(errors="replace"), err=err.decode(), raw=out)

    return run


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Any:
    def give(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(data), isatty=lambda: False))

    return give


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_there_and_back(run: Any, photograph: Path, tmp_path: Path) -> None:
    result = run("compress", photograph, "-q", "100")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"{photograph} -> {tmp_path / 'photo.vaec'}: ")
    before = photograph.read_bytes()
    assert run("decompress", tmp_path / "photo.vaec", "-f").code == 0
    np.testing.assert_array_equal(read_picture(photograph).samples, read_picture(before).samples)
    assert names(tmp_path) == ["photo.png", "photo.vaec"]


def test_the_report_is_that_of_the_written_file(run: Any, photograph: Path, tmp_path: Path) -> None:
    result = run("compress", photograph, "-q", "50", "--json", "--measure", "ms-ssim", "--measure", "ssimulacra2")
    report = json.loads(result.out)
    size = (tmp_path / "photo.vaec").stat().st_size
    assert report["bytes"] == size
    assert report["bpp"] == pytest.approx(8 * size / (24 * 16))
    assert report["source_bytes"] == photograph.stat().st_size
    assert 20 < report["psnr"] < 50
    assert (report["ms_ssim"], report["notes"]) == (None, {"ms_ssim": "the picture is too small"})
    assert report["ssimulacra2"] < 100
    assert (report["input"], report["output"]) == (str(photograph), str(tmp_path / "photo.vaec"))


def test_the_line_says_what_is_not_to_be_had(run: Any, photograph: Path) -> None:
    assert "MS-SSIM n/a (the picture is too small)" in run("compress", photograph, "--measure", "ms-ssim").out


def test_metrics_that_take_long_are_measured_on_request_alone(run: Any, photograph: Path) -> None:
    report = json.loads(run("compress", photograph, "--json").out)
    assert "psnr" in report and not {"ms_ssim", "ssimulacra2"} & set(report)
    assert "SSIM" not in run("compress", photograph, "-f").out


def test_a_picture_without_error_has_no_psnr(run: Any, photograph: Path) -> None:
    assert "no error" in run("compress", photograph, "-q", "100").out
    assert json.loads(run("compress", photograph, "-f", "-q", "100", "--json").out)["psnr"] is None


def test_options_reach_the_codec(run: Any, api: Any, photograph: Path) -> None:
    run("compress", photograph, "-q", "12.5", "--check", "--model", "psnr", "--device", "cpu")
    assert {"model": "psnr", "device": "cpu"} in api.calls
    assert api.calls[-1]["quality"] == 12.5
    assert api.calls[-1]["check"] is True


def test_without_options_the_defaults_of_the_library_hold(run: Any, api: Any, photograph: Path) -> None:
    run("compress", photograph)
    assert api.calls == [
        {"model": DEFAULT_MODEL, "device": "auto"},
        {"quality": 50.0, "check": False, "orientation": None},
    ]


def test_strip_turns_the_picture(run: Any, api: Any, tmp_path: Path) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    Image.new("RGB", (20, 10)).save(tmp_path / "a.jpg", exif=exif)
    run("compress", tmp_path / "a.jpg")
    assert api.calls[-1]["orientation"] == exif[6:]
    report = json.loads(run("compress", tmp_path / "a.jpg", "--strip", "-f", "--json").out)
    assert (report["width"], report["height"]) == (10, 20)
    assert api.calls[-1]["orientation"] is None


def test_an_existing_output_is_refused_and_kept(run: Any, photograph: Path, tmp_path: Path) -> None:
    output = tmp_path / "photo.vaec"
    output.write_bytes(b"old")
    result = run("compress", photograph)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"vaecodec: {output}: exists already, not overwritten: use -f to overwrite it\n"
    assert output.read_bytes() == b"old"
    assert run("compress", photograph, "-f").code == 0
    assert output.read_bytes() != b"old"


def test_time_stamps_are_carried_over(run: Any, photograph: Path, tmp_path: Path) -> None:
    os.utime(photograph, (1_000_000_000, 1_100_000_000))
    run("compress", photograph)
    assert (tmp_path / "photo.vaec").stat().st_mtime == 1_100_000_000


def test_pipes(run: Any, photograph: Path, tmp_path: Path, stdin: Any) -> None:
    run("compress", photograph)
    stdin(photograph.read_bytes())
    result = run("compress", "-")
    assert result.raw == (tmp_path / "photo.vaec").read_bytes()
    assert result.err.startswith("- -> -: ")
    stdin(result.raw)
    back = run("decompress", "-", "--quiet")
    assert back.raw[1:4] == b"PNG"
    assert back.err == ""
    stdin(result.raw)
    assert run("decompress", "-", "-o", tmp_path / "b.bmp", "--quiet").code == 0
    assert (tmp_path / "b.bmp").read_bytes()[:2] == b"BM"


def test_quiet_says_nothing(run: Any, photograph: Path, tmp_path: Path) -> None:
    for arguments in (("compress", photograph), ("decompress", tmp_path / "photo.vaec", "-f")):
        result = run(*arguments, "--quiet")
        assert (result.code, result.out, result.err) == (0, "", "")


def test_several_inputs_go_into_a_folder_and_one_failure_does_not_stop_the_others(
    run: Any, photograph: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    (tmp_path / "out").mkdir()
    result = run("compress", photograph, tmp_path / "bad.png", tmp_path / "none.png", "-o", tmp_path / "out")
    assert result.code == 1
    assert names(tmp_path / "out") == ["photo.vaec"]
    assert [line.count("vaecodec: ") for line in result.err.splitlines()] == [1, 1]
    assert result.out.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"no picture", 3, "not a picture"),
        (b"", 3, "empty"),
        (b"\xff\xd8\xff\xc1\x00\x0b\x0c\x00\x01\x00\x01\x01\x01\x11\x00\xff\xd9", 3, "12 bits per sample"),
        (b"P6 100000 100000 255\n", 5, "pixels"),
    ],
)
def test_one_bad_input_gives_its_own_exit_code(run: Any, tmp_path: Path, content: bytes, code: int, words: str) -> None:
    (tmp_path / "bad.ppm").write_bytes(content)
    result = run("compress", tmp_path / "bad.ppm")
    assert result.code == code
    assert result.err.startswith(f"vaecodec: {tmp_path / 'bad.ppm'}: ")
    assert words in result.err
    assert result.err.count("\n") == 1
    assert names(tmp_path) == ["bad.ppm"]


def test_a_missing_input_is_named(run: Any, tmp_path: Path) -> None:
    for command in ("compress", "decompress"):
        result = run(command, tmp_path / "none")
        assert (result.code, result.err) == (3, f"vaecodec: {tmp_path / 'none'}: no such file: check the path\n")


def test_missing_weights_have_their_code(run: Any, photograph: Path) -> None:
    result = run("compress", photograph, "--model", "none")
    assert (result.code, result.err) == (4, "vaecodec: none: no such weights: see 'vaecodec models'\n")


@pytest.mark.parametrize("arguments", [["-q", "101"], ["-q", "x"], ["--what"], ["-o", "none/x.vaec"]])
def test_wrong_usage_is_one_line(run: Any, photograph: Path, arguments: Sequence[str]) -> None:
    result = run("compress", photograph, *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("vaecodec: ")
    assert result.err.count("\n") == 1


def test_two_inputs_cannot_have_one_output(run: Any, photograph: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.bmp").write_bytes(b"")
    assert run("compress", photograph, tmp_path / "photo.bmp", "-f").code == 2
    assert run("compress", photograph, photograph).code == 2
    assert run("compress", photograph, tmp_path / "photo.bmp", "-o", tmp_path / "one.vaec").code == 2
    assert names(tmp_path) == ["photo.bmp", "photo.png"]


def test_an_input_is_never_its_own_output(run: Any, photograph: Path, tmp_path: Path) -> None:
    path = photograph.rename(tmp_path / "photo.vaec")
    result = run("compress", path, "-f")
    assert (result.code, names(tmp_path)) == (2, ["photo.vaec"])
    assert "its own output" in result.err


@pytest.mark.parametrize(
    ("arguments", "name", "magic"),
    [
        ([], "photo.png", b"\x89PNG"),
        (["--format", "jpg"], "photo.jpg", b"\xff\xd8\xff"),
        (["--format", "tiff"], "photo.tif", b"II*\0"),
        (["-o", "x.webp"], "x.webp", b"RIFF"),
        (["-o", "x.webp", "--format", "ppm"], "x.webp", b"P6"),
        (["-o", "x"], "x", b"\x89PNG"),
    ],
)
def test_the_format_of_the_output(
    run: Any,
    photograph: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: Sequence[str],
    name: str,
    magic: bytes,
) -> None:
    monkeypatch.chdir(tmp_path)
    run("compress", photograph)
    photograph.unlink()
    result = run("decompress", "photo.vaec", *arguments)
    assert result.code == 0
    assert names(tmp_path) == sorted(["photo.vaec", name])
    assert (tmp_path / name).read_bytes().startswith(magic)


def test_metadata_that_a_format_cannot_hold_is_named(run: Any, photograph: Path, tmp_path: Path) -> None:
    run("compress", photograph)
    result = run("decompress", tmp_path / "photo.vaec", "--format", "bmp")
    assert result.code == 0
    assert result.err == (
        f"vaecodec: warning: {tmp_path / 'photo.bmp'}: bmp cannot hold xmp: use --format png to keep it\n"
    )


def test_an_unknown_format_is_refused_before_anything_is_done(
    run: Any, api: Any, photograph: Path, tmp_path: Path
) -> None:
    run("compress", photograph)
    api.calls.clear()
    assert run("decompress", tmp_path / "photo.vaec", "-o", tmp_path / "a.doc").code == 2
    assert run("decompress", tmp_path / "photo.vaec", "--format", "doc").code == 2
    assert api.calls == []


@pytest.mark.parametrize(
    ("options", "words"), [([], "it has no checksum of its samples"), (["--check"], "samples match their checksum")]
)
def test_testing_writes_nothing(run: Any, photograph: Path, tmp_path: Path, options: Sequence[str], words: str) -> None:
    run("compress", photograph, *options)
    photograph.unlink()
    result = run("decompress", "-t", tmp_path / "photo.vaec")
    assert result.code == 0
    assert result.out.startswith(f"{tmp_path / 'photo.vaec'}: ok, 24 x 16 RGB, {words}, ")
    assert names(tmp_path) == ["photo.vaec"]
    assert json.loads(run("decompress", "-t", tmp_path / "photo.vaec", "--json").out)["checksum"] is bool(options)
    assert run("decompress", "-t", tmp_path / "photo.vaec", "-o", "x").code == 2


def test_weights_files_are_looked_in(run: Any, api: Any, photograph: Path, tmp_path: Path) -> None:
    run("compress", photograph)
    run("decompress", tmp_path / "photo.vaec", "-f", "--model", "a", "--model", "b", "--device", "cpu")
    assert {"models": ("a", "b"), "device": "cpu"} in api.calls


def test_damaged_and_foreign_files_are_refused(run: Any, photograph: Path, tmp_path: Path) -> None:
    run("compress", photograph, "-q", "0")
    path = tmp_path / "photo.vaec"
    path.write_bytes(path.read_bytes()[:-1])
    result = run("decompress", path, "-f")
    assert (result.code, result.err.count("\n")) == (3, 1)
    assert str(path) in result.err
    assert run("decompress", photograph, "-o", tmp_path / "x.png").code == 3
    assert names(tmp_path) == ["photo.png", "photo.vaec"]


def test_the_system_s_refusals_are_one_line(run: Any, photograph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    result = run("compress", photograph)
    assert (result.code, result.err) == (
        1,
        f"vaecodec: {photograph} -> {photograph.with_suffix('.vaec')}: no space left on device: free some, or write to another disk with -o\n",
    )
    assert names(photograph.parent) == ["photo.png"]


def test_an_interrupt_leaves_nothing(run: Any, photograph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    result = run("compress", photograph)
    assert (result.code, result.err.strip()) == (130, "vaecodec: interrupted")
    assert names(photograph.parent) == ["photo.png"]


def test_of_an_animation_the_first_frame_is_taken_on_request(run: Any, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), (value, 0, 0)) for value in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    result = run("compress", tmp_path / "a.gif")
    assert result.code == 3
    assert "--first-frame" in result.err
    assert run("compress", tmp_path / "a.gif", "--first-frame", "-q", "100").code == 0
    assert run("decompress", tmp_path / "a.vaec").code == 0
    assert read_picture(tmp_path / "a.png").samples[:, :, 0].mean() < 20


@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        (["--size", "100kB"], {"size": 100_000}),
        (["--size", "1.5 MiB"], {"size": 1_572_864}),
        (["--size", "2000"], {"size": 2000}),
        (["--bpp", "0.5"], {"bpp": 0.5}),
        (["--psnr", "36"], {"psnr": 36.0}),
        (["--ssimulacra2", "75"], {"ssimulacra2": 75.0}),
        (["--ms-ssim", "0.98"], {"ms_ssim": 0.98}),
    ],
)
def test_targets_reach_the_codec(run: Any, api: Any, photograph: Path, arguments: list[str], target: Any) -> None:
    assert run("compress", photograph, *arguments, "--check").code == 0
    assert {"target": target, "check": True} in api.calls


@pytest.mark.parametrize(
    "arguments", [["--size", "1kB", "-q", "5"], ["--bpp", "1", "--psnr", "30"], ["--size", "much"], ["--size", "-1"]]
)
def test_targets_exclude_each_other_and_are_numbers(run: Any, photograph: Path, arguments: list[str]) -> None:
    result = run("compress", photograph, *arguments)
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert names(photograph.parent) == ["photo.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG"])
def test_a_named_pipe_is_opened_once(
    run: Any, photograph: Path, tmp_path: Path, format: str, never_blocks: Callable[[Path], None]
) -> None:
    pipe, packed = tmp_path / "pipe.tif", tmp_path / "pipe.vaec.fifo"

    def feed(path: Path, content: bytes) -> threading.Thread:
        writer = threading.Thread(target=path.write_bytes, args=(content,), daemon=True)
        writer.start()
        return writer

    for path in (pipe, packed):
        os.mkfifo(path)
        never_blocks(path)
    file = io.BytesIO()
    Image.open(photograph).save(file, format)
    for output in (["-o", tmp_path / "a.vaec"], []):
        writer = feed(pipe, file.getvalue())
        assert run("compress", pipe, *output, "-f").code == 0
        writer.join(10)
        assert not writer.is_alive()
    assert read_picture(photograph).samples.shape == (16, 24, 3)
    writer = feed(packed, (tmp_path / "a.vaec").read_bytes())
    assert run("decompress", packed, "-o", tmp_path / "out").code == 0
    writer.join(10)
    assert not writer.is_alive()


@pytest.mark.parametrize(
    ("name", "options", "note"),
    [
        ("a.jpg", {"comment": b"hello", "dpi": (300, 300)}, "a comment is not kept"),
        ("a.png", {"pnginfo": "Author"}, "text is not kept (Author)"),
        ("a.jpg", {"extra": b"\xff\xed\0\x20Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\4\x1c\2\0\0"}, "IPTC is not kept"),
    ],
)
def test_what_is_not_kept_is_said_in_one_line(
    run: Any, tmp_path: Path, name: str, options: dict[str, Any], note: str
) -> None:
    path, options = tmp_path / name, dict(options)
    if "pnginfo" in options:
        text, options["pnginfo"] = options["pnginfo"], PngImagePlugin.PngInfo()
        options["pnginfo"].add_text(text, "somebody")
    Image.new("RGB", (8, 8)).save(path, **options)
    result = run("compress", path)
    assert (result.code, result.err) == (0, f"vaecodec: warning: {path}: {note}\n")
    assert run("compress", path, "-f", "--quiet").err == ""
    report = json.loads(run("compress", path, "-f", "--json").out)
    assert report["warnings"] == [note]


def test_an_error_that_nobody_expected_ends_no_batch(
    run: Any, photograph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object, **__: object) -> None:
        raise TypeError("from deep inside")

    monkeypatch.setattr("vaecodec.codec.codec.read_source", stumble)
    result = run("compress", photograph)
    assert result.code == 1
    assert result.err.startswith(f"vaecodec: {photograph} -> ")
    assert "TypeError: from deep inside" in result.err
    assert result.err.count("\n") == 1


def test_a_name_that_no_file_can_have_is_one_line(run: Any, tmp_path: Path) -> None:
    result = run("compress", str(tmp_path / f"{'x' * 300}.png"))
    assert result.code in (1, 2, 3)
    assert result.err.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such devices here")
@pytest.mark.parametrize("command", ["compress", "decompress"])
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom"])
def test_a_device_without_an_end_is_refused_by_its_beginning(
    run: Any, tmp_path: Path, command: str, device: str
) -> None:
    tracemalloc.start()
    result = run(command, device, "-o", tmp_path / f"out.{'vaec' if command == 'compress' else 'png'}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (result.code, result.err.count("\n"), names(tmp_path)) == (3, 1, [])
    assert peak < 1 << 24


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_without_an_end_is_refused_at_the_limit(
    run: Any, tmp_path: Path, never_blocks: Callable[[Path], None]
) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    never_blocks(pipe)

    def write() -> None:
        with suppress(BrokenPipeError), pipe.open("wb", buffering=0) as file:
            file.write(b"\x89PNG\r\n\x1a\n")
            while True:
                file.write(bytes(1 << 20))

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    result = run("compress", pipe, "--limit", "1000")
    assert (result.code, result.err.count("\n"), names(tmp_path)) == (5, 1, ["pipe.png"])
    assert "no end" in result.err
    writer.join(10)
    assert not writer.is_alive()


def test_a_failure_is_an_object_too_where_json_is_asked_for(
    run: Any, photograph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The codec of these tests makes no real files.
    monkeypatch.setattr("vaecodec.cli.folders.is_whole", lambda _: True)
    (tmp_path / "text.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    result = run("compress", tmp_path / "text.png", photograph, tmp_path / "none.png", "-o", f"{out}/", "--json")
    reports = [json.loads(line) for line in result.out.splitlines()]
    assert [report["input"] for report in reports] == [
        str(tmp_path / "text.png"), str(photograph), str(tmp_path / "none.png"),
    ]  # fmt: skip
    assert [report.get("exit_code") for report in reports] == [3, None, 3]
    assert reports[0]["output"] == str(out / "text.vaec")
    assert f"vaecodec: {reports[0]['error']}" == result.err.splitlines()[0]
    alone = run("decompress", tmp_path / "none.vaec", "--json")
    assert (json.loads(alone.out)["exit_code"], alone.code, alone.err.count("\n")) == (3, 3, 1)
    folder = run("compress", "-r", tmp_path, "-o", out, "--json")
    assert [json.loads(line).get("exit_code") for line in folder.out.splitlines()] == [3]
