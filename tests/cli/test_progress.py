"""Progress: nothing for what is quick, tiles and the time for a single long file, on a terminal only."""

from __future__ import annotations

import io
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from vaecodec import EncodeOptions
from vaecodec.announce import announce, heard_by
from vaecodec.api import Codec
from vaecodec.cli import main, progress
from vaecodec.cli.progress import Progress, status_line
from vaecodec.codec.options import Tiling
from vaecodec.picture import Picture


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    found = Terminal()
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=found))
    monkeypatch.setattr(progress, "_TICK_SECONDS", 0.02)
    return found


def test_a_single_file_shows_its_tiles_and_the_time() -> None:
    assert status_line(0, 1, 65.0, "a.png", (3, 12)) == "[#####---------------] 3/12 tiles  1:05  a.png"
    assert status_line(0, 1, 2.0, "a.png") == "0:02  a.png"


def test_of_several_the_tile_stands_at_the_end() -> None:
    assert status_line(1, 2, 4.0, "b.png", (3, 12)).endswith("0:04 left  b.png  tile 3/12")
    assert status_line(1, 2, 4.0, "b.png", (0, 1)).endswith("b.png")


def test_what_is_quick_shows_nothing(terminal: Terminal) -> None:
    shown = Progress(1)
    shown.show(0, "a.png")
    with shown.ticking():
        time.sleep(0.1)
    assert "a.png" not in terminal.getvalue()


def test_a_single_file_that_takes_long_is_shown_and_its_line_is_removed_at_the_end(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_FIRST_SECOND", 0.05)
    shown = Progress(1)
    shown.show(0, "a.png")
    with shown.ticking():
        announce(1, 4)
        time.sleep(0.3)
    assert "[#####---------------] 1/4 tiles  0:00  a.png" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_quiet_and_pipes_show_nothing(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_FIRST_SECOND", 0.0)
    for shown in (Progress(1, quiet=True), Progress(3, quiet=True)):
        shown.show(0, "a.png")
        with shown.ticking():
            time.sleep(0.05)
    monkeypatch.setattr(terminal, "isatty", lambda: False)
    shown = Progress(3)
    shown.show(0, "a.png")
    assert terminal.getvalue() == ""


def test_a_codec_announces_every_tile_there_and_back(codec: Codec) -> None:
    picture = Picture(np.random.default_rng(1).integers(90, 110, (128, 192, 3), np.uint8))
    heard: list[tuple[int, int]] = []
    with heard_by(lambda done, total: heard.append((done, total))):
        encoded = codec.encode(picture, EncodeOptions(tiling=Tiling(one_tile_pixels=0, exponent=6)))
        assert heard == [(number, 6) for number in range(6)]
        heard.clear()
        codec.decompress(encoded.data)
        assert set(heard) == {(number, 6) for number in range(6)}
    announce(1, 2)
    assert (1, 2) not in heard


def test_a_command_shows_its_progress_on_a_terminal(
    terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_FIRST_SECOND", 0.0)
    target = tmp_path / "grid.png"
    assert main(["sample", "--model", "digits-plane", "-n", "4", "-o", str(target)]) == 0
    assert str(target) in terminal.getvalue()
