"""Desktops know the files, and draw them by the entry that is installed."""

from __future__ import annotations

import configparser
import io
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from vaecodec import desktop
from vaecodec.api import Codec
from vaecodec.bitstream.container import MAGIC
from vaecodec.cli import main
from vaecodec.errors import FileFormatError

NAMESPACE = "{http://www.freedesktop.org/standards/shared-mime-info}"


@pytest.fixture
def file(tmp_path: Path, codec: Codec, photograph: np.ndarray) -> Path:
    path = tmp_path / "photo.vaec"
    path.write_bytes(codec.compress(photograph[:120, 150:310], quality=40))
    return path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    assert main(["desktop"]) == 0
    return folder


def test_a_thumbnail_is_small_and_upright(file: Path, tmp_path: Path, codec: Codec, photograph: np.ndarray) -> None:
    with Image.open(io.BytesIO(desktop.thumbnail(file.read_bytes(), 80))) as small:
        assert (small.format, small.size, small.mode) == ("PNG", (80, 60), "RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photograph[:64, :96]).save(tmp_path / "turned.jpg", exif=exif)
    with Image.open(io.BytesIO(desktop.thumbnail(codec.compress(tmp_path / "turned.jpg"), 48))) as small:
        assert small.size == (32, 48)


def test_a_file_of_another_kind_has_no_thumbnail(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(FileFormatError):
        desktop.thumbnail(b"\x89PNG")
    (tmp_path / "a.vaec").write_bytes(b"\x89PNG")
    assert main(["thumbnail", str(tmp_path / "a.vaec"), str(tmp_path / "a.png")]) == 3
    assert capsys.readouterr().err.startswith(f"vaecodec: {tmp_path / 'a.vaec'}: not a .vaec file")
    assert not (tmp_path / "a.png").exists()


def test_the_type_is_known_by_the_magic_of_the_format(installed: Path) -> None:
    tree = ElementTree.parse(installed / "mime" / "packages" / "vaecodec.xml")
    kind = tree.find(f"{NAMESPACE}mime-type")
    assert kind is not None and kind.get("type") == "image/x-vaec"
    match = kind.find(f"{NAMESPACE}magic/{NAMESPACE}match")
    assert match is not None
    assert (match.get("value") or "").encode().decode("unicode_escape").encode("latin-1") == MAGIC


def test_the_entry_makes_a_thumbnail_as_a_file_manager_calls_it(installed: Path, file: Path, tmp_path: Path) -> None:
    entry = configparser.RawConfigParser()
    entry.read(installed / "thumbnailers" / "vaecodec.thumbnailer")
    section = entry["Thumbnailer Entry"]
    assert section["MimeType"] == "image/x-vaec;"
    assert shutil.which(section["TryExec"]) is not None
    out = tmp_path / "small.png"
    # They make the file before they ask.
    out.write_bytes(b"")
    values = {"%s": "64", "%i": str(file), "%o": str(out)}
    subprocess.run([values.get(word, word) for word in section["Exec"].split()], check=True)
    with Image.open(out) as small:
        assert small.size == (64, 48)


@pytest.mark.skipif(shutil.which("update-mime-database") is None, reason="shared-mime-info is not installed")
@pytest.mark.parametrize("name", ["photo.vaec", "photo"])
def test_the_desktop_knows_a_file_by_its_name_and_by_its_bytes(installed: Path, file: Path, name: str) -> None:
    file = file.rename(file.with_name(name))
    programs = {"xdg-mime": ["query", "filetype"], "gio": ["info", "-a", "standard::content-type"]}
    found = {program: words for program, words in programs.items() if shutil.which(program) is not None}
    if not found:
        pytest.skip("neither xdg-mime nor gio is here")
    environment = os.environ | {"XDG_DATA_HOME": str(installed), "XDG_DATA_DIRS": "/usr/local/share:/usr/share"}
    if name == "photo" and "gio" not in found:
        pytest.skip("xdg-mime alone asks file(1) about bytes")
    program, words = ("gio", found["gio"]) if "gio" in found else ("xdg-mime", found["xdg-mime"])
    done = subprocess.run([program, *words, str(file)], env=environment, capture_output=True, text=True, check=True)
    assert "image/x-vaec" in done.stdout


def test_it_can_be_undone(installed: Path) -> None:
    assert main(["desktop", "--remove"]) == 0
    assert not list(installed.iterdir())


def test_what_others_have_there_stays(installed: Path) -> None:
    package = installed / "mime" / "packages" / "other.xml"
    package.write_text(desktop.mime_type_xml().replace("vaec", "other"))
    (installed / "thumbnailers" / "other.thumbnailer").touch()
    assert main(["desktop", "--remove"]) == 0
    assert package.exists() and (installed / "thumbnailers" / "other.thumbnailer").exists()
    assert not (installed / "mime" / "packages" / "vaecodec.xml").exists()
    assert shutil.which("update-mime-database") is None or (installed / "mime" / "types").exists()


def test_the_list_of_types_is_made_without_a_word(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["desktop", "--folder", str(tmp_path / "data")]) == 0
    told = capfd.readouterr()
    assert (len(told.out.splitlines()), told.err) == (2, "")


def test_a_list_of_types_that_cannot_be_made_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "update-mime-database"
    program.write_text("#!/bin/sh\necho 'It went' >&2; echo wrong >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert main(["desktop", "--folder", str(tmp_path / "data")]) == 1
    assert capfd.readouterr().err == f"vaecodec: {program} failed: It went wrong\n"
