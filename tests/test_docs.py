"""Every example in README, docs and the commands' help runs, and the site builds without a warning.

An example is a fenced block of kind python, sh or console. Each runs in a folder of its own with some small pictures, in this
process where it can. A comment before the fence says what is otherwise::

    <!-- example not run: trains for a night -->
    <!-- example needs ray -->

Lines of a block in a shell may be alternatives, which would refuse each other's outputs: they are run with -f. After a command
a comment may say ``# exit code 3``. A console block is compared with what is printed; ``...`` stands for anything.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

import vaecodec
import vaecodec.cli as command_line
from vaecodec.api import Codec
from vaecodec.cli import main
from vaecodec.cli.help import Command
from vaecodec.picture import Picture

ROOT = Path(__file__).parents[1]
FENCE = re.compile(
    r"^(?:<!-- example (?P<mark>.+?) -->\n)?^```(?P<kind>python|sh|console)[^\n]*\n(?P<code>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
DOCTESTS = ("vaecodec", "vaecodec.pillow", "vaecodec.numcodecs", "vaecodec.zarr")


@dataclass(frozen=True)
class Example:
    file: str
    line: int
    kind: str
    code: str
    mark: str


def examples() -> list[Example]:
    found = []
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        if "node_modules" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start("code")) + 1
            name = path.relative_to(ROOT).as_posix()
            found.append(Example(name, line, match["kind"], match["code"], match["mark"] or ""))
    found.append(Example("vaecodec --help", 0, "sh", command_line.EXAMPLES, ""))
    for name in command_line.COMMANDS:
        command = command_line.vaecodec.get_command(click.Context(command_line.vaecodec), name)
        assert isinstance(command, Command)
        assert command.examples, f"{name}: no examples in its help"
        found.append(Example(f"vaecodec {name} --help", 0, "sh", command.examples, command.example_mark))
    return found


EXAMPLES = examples()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory, codec: Codec, photograph: np.ndarray) -> Path:
    """A folder with what the examples speak of."""
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("photos", "album/summer", "packed", "damaged"):
        (folder / name).mkdir(parents=True)
    photo = Image.fromarray(photograph[:120, 150:310])
    exif = Image.Exif()
    exif[0x010F] = "maker"
    for name in ("holiday.jpg", "photo.jpg", "album/one.jpg", "album/summer/two.jpg"):
        photo.save(folder / name, exif=exif)
    photo.resize((64, 48)).save(folder / "a.png")
    for name in ("photos/1.png", "photos/2.png"):
        # Of 64 × 48 pixels the score does not rise at every step, and `evaluate --check` would say so.
        photo.save(folder / name)
    items = np.random.default_rng(1).integers(0, 256, (12, 28, 28), np.uint8)
    np.save(folder / "items.npy", items)
    data = codec.compress(folder / "holiday.jpg")
    for name in ("holiday.vaec", "photo.vaec"):
        (folder / name).write_bytes(data)
    for name in ("one.vaec", "two.vaec"):
        (folder / "packed" / name).write_bytes(data)
    (folder / "damaged" / "one.vaec").write_bytes(data[:-4])
    (folder / "big.vaec").write_bytes(codec.compress(Picture(np.tile(photograph[:256, :256], (2, 3, 1)))))
    return folder


@pytest.fixture
def here(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(pictures, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: f"{e.file}:{e.line}")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_an_example_runs(example: Example, here: Path) -> None:
    if example.mark.startswith("not run: "):
        pytest.skip(example.mark.removeprefix("not run: "))
    if example.mark.startswith("needs "):
        package = example.mark.removeprefix("needs ")
        pytest.importorskip(package, reason=f"{package} is not installed")
    elif example.mark:
        pytest.fail(f"example {example.mark}: say 'not run: WHY' or 'needs PACKAGE'")
    if example.kind == "python":
        # Where an error says a line, it is that of the page.
        Path("example.py").write_text("\n" * (example.line - 1) + example.code)
        runpy.run_path("example.py", run_name="__main__")
    elif example.kind == "sh":
        for line in example.code.replace("\\\n", " ").splitlines():
            run_line(line)
    else:
        for command, _, expected in (
            part.partition("\n") for part in re.split(r"^\$ ", example.code, flags=re.MULTILINE)[1:]
        ):
            printed = run_line(command)
            right = doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS)
            assert right, f"{command} printed:\n{printed}"


def run_line(line: str) -> str:
    """Runs a line of a shell; returns what it printed."""
    wanted = re.search(r"# exit code (\d+)", line)
    words = shlex.split(line, comments=True)
    if not words or words[:2] == ["pip", "install"]:
        return ""
    if "|" in words:
        return run_pipe(line)
    assert words[0] == "vaecodec", f"{line}: an example of another program: mark it"
    arguments = [
        name for word in words[1:] for name in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
    ]
    if "-j" in arguments:
        # More processes are tests/cli/test_folders.py's; here they are only slow.
        arguments[arguments.index("-j") + 1] = "1"
    if words[1] in ("compress", "decompress") and "-t" not in words:
        arguments.append("-f")
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(errors):
        code = main(arguments)
    assert code == (int(wanted[1]) if wanted else 0), f"{line}\n{errors.getvalue()}"
    return printed.getvalue()


def run_pipe(line: str) -> str:
    """Runs ``cat FILE | vaecodec ... | vaecodec ...``, each with the bytes of the one before."""
    data = b""
    for words in (shlex.split(part) for part in line.split("|")):
        if words[0] == "cat":
            data = Path(words[1]).read_bytes()
            continue
        assert words[0] == "vaecodec", line
        given, printed = io.TextIOWrapper(io.BytesIO(data)), io.TextIOWrapper(io.BytesIO())
        with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
            patch.setattr(sys, "stdin", given)
            assert main(words[1:]) == 0, line
        printed.flush()
        data = printed.buffer.getvalue()
    return data.decode()


@pytest.mark.parametrize("name", DOCTESTS)
@pytest.mark.usefixtures("here")
def test_examples_in_docstrings_print_what_they_say(name: str) -> None:
    if name.startswith(("vaecodec.numcodecs", "vaecodec.zarr")):
        pytest.importorskip("zarr", reason="zarr is not installed", minversion="3")
    failures, count = doctest.testmod(importlib.import_module(name))
    assert (failures, count > 1) == (0, True)


def test_every_example_that_is_not_run_says_why_and_most_are_run() -> None:
    assert len(EXAMPLES) > 25
    assert sum(bool(example.mark) for example in EXAMPLES) < len(EXAMPLES) / 2


class Requests(HTMLParser):
    """What a browser would fetch for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag in ("img", "script", "iframe"):
            self.urls.append(given.get("src") or "")
        elif tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            self.urls.append(given.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed")
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    pytest.importorskip("mkdocstrings", reason="mkdocstrings is not installed")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(ROOT / "mkdocs.yml"), "-d", str(folder)],
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_the_site_has_results_and_every_public_name(site: Path) -> None:
    assert "BD-rate against JPEG" in (site / "results.html").read_text()
    api = (site / "api.html").read_text()
    for name in vaecodec.__all__:
        if name not in ("__version__", "DEFAULT_MODEL", "DEFAULT_QUALITY"):
            assert re.search(rf'id="[\w.]+\.{name}"', api), name


def test_the_site_asks_no_other_host_for_anything(site: Path) -> None:
    pages = [page for page in site.rglob("*.html") if "viewer" not in page.parts]
    assert len(pages) > 10
    for page in pages:
        parser = Requests()
        parser.feed(page.read_text(encoding="utf-8"))
        assert not [url for url in parser.urls if "//" in url], page
