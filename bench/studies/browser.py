"""The viewer's page: a file that it opens, or a picture that it makes one of, in headless Chromium, its time and its memory.

    python -m bench.studies.browser big.vaec
    python -m bench.studies.browser big.png

needs the built page (docs/viewer/README.md), Chromium, and the extra ``viewer``.
"""

from __future__ import annotations

import base64
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from vaecodec.errors import MissingExtraError

PAGE = Path(__file__).parents[2] / "docs" / "viewer" / "dist" / "index.html"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SAMPLE_SECONDS = 0.1
# The slowest machine that this is run on.
PATIENCE_MS = 1_800_000


class Browser:
    """A page that is open."""

    def __init__(self, page: Any, workers: int) -> None:
        self.page = page
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{PAGE.as_uri()}?workers={workers}")

    def fingerprint(self, data: bytes) -> tuple[str, str]:
        """SHA-256 of the integers, and of the samples."""
        program = "async d => await vaecodecViewer.fingerprint(Uint8Array.from(atob(d), c => c.charCodeAt(0)))"
        got = self.page.evaluate(program, base64.b64encode(data).decode())
        return got["latents_sha256"], got["samples_sha256"]

    def decode(self, data: bytes) -> None:
        """Decodes, and gives nothing back."""
        program = "async d => { await vaecodecViewer.decode(Uint8Array.from(atob(d), c => c.charCodeAt(0))); }"
        self.page.evaluate(program, base64.b64encode(data).decode())

    def encode(self, samples: npt.NDArray[np.uint8], quality: float, effort: int) -> bytes:
        """The file of samples [H, W, C]."""
        program = """async ([data, width, height, channels, quality, effort]) => {
            const samples = Uint8Array.from(atob(data), c => c.charCodeAt(0));
            const file = await vaecodecViewer.encode({width, height, channels, samples, alpha: null}, {quality, effort});
            let text = "";
            for (const byte of file) text += String.fromCharCode(byte);
            return btoa(text);
        }"""
        height, width, channels = samples.shape
        data = base64.b64encode(samples.tobytes()).decode()
        return base64.b64decode(self.page.evaluate(program, [data, width, height, channels, quality, effort]))

    def show(self, path: Path) -> dict[str, str]:
        """Opens a file as a person does; what the page says about it."""
        self.page.set_input_files("input[type=file] >> nth=0", path)
        self.page.wait_for_selector("[data-jpeg=ready], [data-state=failed]")
        terms = self.page.eval_on_selector_all("dt", "all => all.map(e => [e.textContent, e.nextSibling.textContent])")
        return dict(terms)


@contextmanager
def open_browser(workers: int = 1) -> Iterator[Browser]:
    """The page in headless Chromium, opened from the file system.

    Args:
        workers: that it may start.

    Raises:
        MissingExtraError: Chromium, playwright or the built page is not there.
    """
    chromium = shutil.which("chromium")
    if chromium is None or not PAGE.is_file():
        raise MissingExtraError(f"this needs chromium, and {PAGE}: docs/viewer/README.md says how it is built")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError as error:
        raise MissingExtraError("this needs playwright: pip install 'vaecodec[viewer]'") from error
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield Browser(browser.new_page(), workers)
        browser.close()


def _status(path: Path, name: str) -> int:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def _chromium() -> list[Path]:
    """The folders of all Chromium processes below this one."""
    parents = {int(p.name): _status(p / "status", "PPid") for p in Path("/proc").iterdir() if p.name.isdigit()}
    below = {int(Path("/proc/self").resolve().name)}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    folders = [Path(f"/proc/{pid}") for pid in below]
    return [folder for folder in folders if (folder / "comm").is_file() and "chrom" in (folder / "comm").read_text()]


def chromium_memory() -> int:
    """Bytes of all Chromium processes below this one, shared pages in parts (PSS)."""
    return 1024 * sum(_status(folder / "smaps_rollup", "Pss") for folder in _chromium())


def chromium_seconds() -> float:
    """Seconds of processor time that they have taken."""
    times = [(folder / "stat").read_text().rpartition(")")[2].split()[11:13] for folder in _chromium()]
    return sum(int(ticks) for pair in times for ticks in pair) / os.sysconf("SC_CLK_TCK")


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Watches :func:`chromium_memory`; the list's one number is the largest seen."""
    peak, over = [chromium_memory()], threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_SECONDS):
            peak[0] = max(peak[0], chromium_memory())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--workers", type=click.IntRange(1, 4), default=1, show_default=True, help="That the page may start.")
def main(file: Path, workers: int) -> None:
    """Open FILE in the page, .vaec, PNG or JPEG, and print what it says, and the time and memory that Chromium took."""
    with open_browser(workers) as browser:
        browser.page.evaluate("vaecodecViewer.ready()")
        before, seconds = chromium_memory(), chromium_seconds()
        with peak_memory() as peak:
            facts = browser.show(file)
        seconds = chromium_seconds() - seconds
    for term, value in facts.items():
        click.echo(f"{term}: {value}")
    click.echo(f"Processor time: {seconds:.1f} s, the JPEG included")
    click.echo(f"Memory: {before / 1e6:.0f} MB with the model loaded, at most {peak[0] / 1e6:.0f} MB while it decoded")


if __name__ == "__main__":
    main()
