"""What people get wrong: every slip gets one line that says what to do, an exit code, and leaves nothing behind.

``python tests/test_slips.py`` prints the table that docs/messages.md has.
"""

from __future__ import annotations

import errno
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaecodec.api import Codec
from vaecodec.cli import main

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Slip:
    """Something typed, and what comes of it.

    Attributes:
        typed: after ``vaecodec``.
        code: the exit code.
        says: all that stands on standard error, without ``vaecodec: `` and the newline.
        prepare: makes the machine as the slip needs it; its name says how.
    """

    typed: str
    code: int
    says: str
    prepare: Callable[[Patch], None] | None = None


def full_disk(patch: Patch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    patch.setattr("os.fsync", fail)


def interrupt(patch: Patch) -> None:
    def fail(_: int) -> None:
        raise KeyboardInterrupt

    patch.setattr("os.fsync", fail)


def no_permission(patch: Patch) -> None:
    """As for somebody who is not root, in a folder of somebody else's."""

    def fail(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    patch.setattr("vaecodec.atomic._scratch", fail)


def unreadable(patch: Patch) -> None:
    def read(_: object, name: str) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", name)

    patch.setattr("vaecodec.cli.files.bytes_of_file", read)


def without(*packages: str) -> Callable[[Patch], None]:
    def prepare(patch: Patch) -> None:
        for package in packages:
            patch.setitem(sys.modules, package, None)

    return prepare


without_torch = without("torch")
WHEN = {
    full_disk: "full disk",
    interrupt: "Ctrl-C",
    no_permission: "folder of somebody else",
    unreadable: "file of somebody else",
    without_torch: "without torch",
}

SLIPS = [
    Slip("compres photo.jpg", 2, "No such command 'compres'. Did you mean 'compress'?: see 'vaecodec --help'"),
    Slip("photo.jpg", 2, "No such command 'photo.jpg'. To compress a picture, type 'vaecodec compress photo.jpg': see 'vaecodec --help'"),
    Slip("compress photo.jpg --qualty 50", 2, "No such option*--quality*: see 'vaecodec compress --help'"),
    Slip("compress phto.jpg", 3, "phto.jpg: no such file: did you mean photo.jpg?"),
    Slip("compress photo", 3, "photo: no such file: did you mean photo.jpg?"),
    Slip("compress elsewhere/photo.jpg", 3, "elsewhere/photo.jpg: no such file: check the path"),
    Slip("compress *.tif", 3, "[*].tif: no such file: nothing matches this pattern"),
    Slip("compress https://example.org/a.jpg", 3, "https://example.org/a.jpg: no such file: this is a URL, download it first"),
    Slip("compress album", 2, "album: is a folder: use -r for what is in it"),
    Slip("compress", 2, "Missing argument 'INPUT...': see 'vaecodec compress --help'"),
    Slip("compress photo.jpg -o out.jpg", 2, "out.jpg: compressed files are called .vaec: say -o out.vaec, -o out.jpg/ for a folder, or -f to use this name"),
    Slip("compress photo.jpg out.png", 2, "out.png: no such file: is it the output? Then say -o out.vaec"),
    Slip("compress out.vaec photo.jpg", 2, "out.vaec: is the name of a compressed file: decompress it, or name an output with -o"),
    Slip("compress photo.vaec", 2, "photo.vaec: is the name of a compressed file: decompress it, or name an output with -o"),
    Slip("compress photo.jpg photo.vaec", 2, "photo.vaec: exists already, not overwritten: use -f to overwrite it"),
    Slip("compress photo.jpg a.png -o both", 2, "both: several inputs need a folder for their outputs: -o both/ makes it"),
    Slip("compress -r album -o out.vaec", 2, "out.vaec: is the name of a file, and -r makes a folder: say -o out.vaec/ or another name"),
    Slip("compress photo.jpg -o none/out.vaec", 2, "none: no such folder: make it first, or check the path"),
    Slip("compress a.png -q 50 --size 10kB", 2, "-q, --lossless, --size, --bpp, --ssimulacra2, --psnr and --ms-ssim exclude each other: give one of them"),
    Slip("compress a.png -q 101", 2, "Invalid value for '-q' / '--quality': '101' is not a number from 0 to 100: see 'vaecodec compress --help'"),
    Slip("compress a.png -q 50%", 2, "Invalid value for '-q' / '--quality': '50%' is not a number from 0 to 100: see 'vaecodec compress --help'"),
    Slip("compress a.png -j 0", 2, "Invalid value for '-j' / '--jobs': '0' is not a whole number from 1 to 1024: see 'vaecodec compress --help'"),
    Slip("compress a.png -o", 2, "Option '-o' requires an argument: see 'vaecodec compress --help'"),
    Slip("compress a.png --ssimulacra2 120", 2, "SSIMULACRA2 120 is out of range: it is at most 100"),
    Slip("compress a.png --size 10 -o small.vaec", 1, "a.png: a size of 10 bytes cannot be reached: this picture takes at least * bytes, ask for no less"),
    Slip("compress a.png --bpp 0.01 -o small.vaec", 1, "a.png: a rate of 0.01 bits per pixel cannot be reached: this picture takes at least * bits per pixel (* bytes), ask for no less"),
    Slip("compress a.png --psnr 99 -o small.vaec", 1, "a.png: a PSNR of 99.00 dB cannot be reached: this picture reaches at most * dB, ask for no more, or compress it without loss"),
    Slip("compress empty.jpg", 3, "empty.jpg: empty, not a picture: get the file again"),
    Slip("compress text.jpg", 3, "text.jpg: not a picture of a known format*"),
    Slip("compress big.png --limit 1000", 5, "big.png: 64 × 64 pixels, more than the limit of 1000: scale it down, or raise the limit (--limit)"),
    Slip("compress a.png --model nothing", 4, "no model is called 'nothing': installed are eye, psnr; a path of a weights file works too (--model)"),
    Slip("compress a.png --model digits", 4, "digits is for arrays of small items, not for pictures: installed are eye, psnr (--model)"),
    Slip("compress photo.jpg a.png -o -", 2, "several inputs do not go into one pipe: name a folder with -o folder/"),
    Slip("info album", 2, "album: is a folder: name a file in it"),
    Slip("compress a.png --model photo.jpg", 4, "photo.jpg: not a weights file: name a .safetensors file, or an installed model"),
    Slip("compress a.png", 1, "a.png -> a.vaec: no space left on device: free some, or write to another disk with -o", prepare=full_disk),
    Slip("compress a.png", 1, "a.png -> a.vaec: permission denied: check its permissions and those of its folder", prepare=no_permission),
    Slip("compress a.png", 130, "interrupted", prepare=interrupt),
    Slip("compress a.png --effort 2", 6, "*pip install 'vaecodec[torch]'", prepare=without_torch),
    Slip("compress line\nbreak.jpg", 3, "'line\\nbreak.jpg': no such file: check the path"),
    Slip("decompress a.png", 3, "a.png: not a .vaec file: 'vaecodec compress' makes one of a picture"),
    Slip("decompress a.png out.png", 3, "a.png: not a .vaec file: 'vaecodec compress' makes one of a picture"),
    Slip("decompress photo", 3, "photo: no such file: did you mean photo.vaec?"),
    Slip("decompress photo.jpg photo.vaec", 2, "photo.jpg: is the name of a picture: name the input first, then the output"),
    Slip("decompress photo.vaec out.doc", 2, "out.doc: no such file: is it the output? Then say -o out.png"),
    Slip("decompress photo.vaec -o out.doc", 2, "out.doc: no picture format has this extension: name the format, one of *"),
    Slip("decompress cut.vaec", 3, "cut.vaec: the tiles need 9 bytes more than the file has: get the whole file"),
    Slip("decompress photo.vaec", 1, "photo.vaec: permission denied: check its permissions and those of its folder", prepare=unreadable),
    Slip("decompress photo.vaec --region 0,0,9999,9999", 2, "photo.vaec: the region 0,0,9999,9999 does not lie inside the 64 × 48 picture"),
    Slip("thumbnail photo.vaec out.jpg", 2, "out.jpg: thumbnails are PNG: name an output that ends in .png"),
    Slip("evaluate photo.jpg", 2, "photo.jpg: is a file: name the folder it is in"),
    Slip("evaluate album", 2, "album: no pictures in this folder: name one that has some"),
    Slip("sample --model digits-plane -o grid.jpg", 2, "grid.jpg: name an output that ends in .png or .npy"),
]  # fmt: skip


def _for_markdown(says: str) -> str:
    return says.replace("[*]", "\\0").replace("*", "…").replace("\\0", "\\*").replace("<", "&lt;")


def table() -> str:
    """What docs/messages.md has."""
    rows = ["| typed after `vaecodec` | answer | exit code |", "|---|---|---:|"]
    for slip in SLIPS:
        when = "" if slip.prepare is None else f" ({WHEN[slip.prepare]})"
        typed, says = (text.replace("\n", "\\n").replace("|", "\\|") for text in (slip.typed, slip.says))
        rows.append(f"| `{typed}`{when} | {_for_markdown(says)} | {slip.code} |")
    return "\n".join(rows)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory, codec: Codec, photograph: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("originals")
    (folder / "album").mkdir()
    small = Image.fromarray(photograph[:48, :64])
    small.save(folder / "photo.jpg")
    small.save(folder / "a.png")
    Image.fromarray(photograph[:64, :64]).save(folder / "big.png")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no picture\n" * 9)
    data = codec.compress(folder / "photo.jpg")
    (folder / "photo.vaec").write_bytes(data)
    (folder / "cut.vaec").write_bytes(data[:-9])
    return folder


@pytest.fixture
def here(originals: Path, tmp_path: Path, monkeypatch: Patch) -> Path:
    shutil.copytree(originals, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: f"{slip.typed} {slip.code}")
def test_a_slip_is_one_line_an_exit_code_and_nothing_left(
    slip: Slip, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Patch
) -> None:
    before = contents(here)
    with monkeypatch.context() as patch:
        if slip.prepare is not None:
            slip.prepare(patch)
        code = main(slip.typed.split(" ") if "\n" in slip.typed else slip.typed.split())
    captured = capsys.readouterr()
    after = contents(here)
    assert (code, captured.out) == (slip.code, "")
    assert matches(captured.err.lstrip("\n"), f"vaecodec: {slip.says}\n"), captured.err
    assert after == before


def matches(text: str, pattern: str) -> bool:
    """Whether a text is as a pattern in which ``*`` stands for anything but a newline, and ``[*]`` for itself."""
    parts = (re.escape(part.replace("\0", "*")) for part in pattern.replace("[*]", "\0").split("*"))
    return re.fullmatch("[^\n]*".join(parts), text) is not None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_behind_a_pipe_is_one_line(here: Path) -> None:
    code = "from vaecodec.__main__ import main; raise SystemExit(main())"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, "compress", "a.png", "-o", "-"], stdout=full, stderr=subprocess.PIPE,
            text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "vaecodec: a.png -> standard output: no space left on device: free some, or write to another disk with -o\n"
    )


def test_two_names_are_an_input_and_an_output(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compress", "photo.jpg", "new.vaec"]) == 0
    assert main(["decompress", "new.vaec", "new.png"]) == 0
    assert set(contents(here)) >= {"new.vaec", "new.png"}
    assert "photo.jpg -> new.vaec: " in capsys.readouterr().out


def test_an_output_that_ends_in_a_slash_is_a_folder_that_is_made(here: Path) -> None:
    assert main(["compress", "photo.jpg", "a.png", "-o", "new/packed/"]) == 0
    assert main(["decompress", "new/packed/a.vaec", "-o", "new/pictures/"]) == 0
    assert set(contents(here)) >= {"new/packed/photo.vaec", "new/packed/a.vaec", "new/pictures/a.png"}


def test_another_name_is_used_with_f(here: Path) -> None:
    assert main(["compress", "photo.jpg", "-o", "packed.bin", "-f"]) == 0
    assert (here / "packed.bin").read_bytes().startswith(b"\x89VAEC")


def test_a_newline_in_a_name_is_quoted(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "photo.jpg").rename(here / "a\nb.jpg")
    assert main(["compress", "a\nb.jpg"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("'a\\nb.jpg' -> 'a\\nb.vaec': ")
    assert out.count("\n") == 1


def test_numbers_for_people_have_two_decimals(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["compress", "photo.jpg", "new.vaec"])
    assert re.search(r", \d+\.\d\d bpp, PSNR \d+\.\d\d dB, ", capsys.readouterr().out)


def test_the_page_of_messages_has_them_all() -> None:
    page = Path(__file__).parents[1] / "docs" / "messages.md"
    if not page.exists():
        pytest.skip("a package without docs")
    assert table() in page.read_text(encoding="utf-8")


if __name__ == "__main__":
    print(table())
