from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.show import gallery
from vaecodec.api import Codec
from vaecodec.errors import PictureNotFoundError, UsageError
from vaecodec.picture import read_picture

from .conftest import ROOT, photograph
from .test_page import opened

PAGE = ROOT / "docs" / "gallery.md"
EXHIBIT = gallery.Exhibit("One", "one.png", 40, 20, 30, "Look.")


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.fromarray(photograph(0)).save(tmp_path / "one.png")
    (tmp_path / "page.md").write_text("# Page\n\n<!-- gallery:begin -->\nold\n<!-- gallery:end -->\n\nAfter.\n")
    return tmp_path


def test_an_exhibit_is_files_without_loss_and_a_table_with_no_more_bytes_than_avif(codec: Codec, folder: Path) -> None:
    (folder / "parts").mkdir()
    (folder / "parts" / "stale.webp").touch()
    gallery.fill(folder / "page.md", folder / "parts", folder, [EXHIBIT], codec)
    text = (folder / "page.md").read_text()
    assert "old" not in text and "## One" in text and text.endswith("After.\n")
    addresses = re.findall(r'src="([^"]+)" alt="(\w+)"', text)
    assert [name for _, name in addresses] == ["original", "JPEG", "AVIF", "vaecodec"]
    assert {folder / address for address, _ in addresses} == set((folder / "parts").iterdir())
    shown = read_picture(folder / addresses[0][0]).samples
    assert np.array_equal(shown, photograph(0)[20 : 20 + shown.shape[0], 40 : 40 + shown.shape[1]])
    sizes = {
        name: int(size.replace(",", ""))
        for name, size in re.findall(r"^\| (\w+), quality \d+ \| ([\d,]+) \|", text, re.MULTILINE)
    }
    assert sizes["JPEG"] <= sizes["AVIF"] and sizes["vaecodec"] <= sizes["AVIF"]


def test_a_missing_picture_and_a_page_without_marks_are_refused(codec: Codec, folder: Path) -> None:
    with pytest.raises(PictureNotFoundError, match=r"one\.png"):
        gallery.fill(folder / "page.md", folder / "parts", folder / "elsewhere", [EXHIBIT], codec)
    (folder / "page.md").write_text("# Page\n")
    with pytest.raises(UsageError, match="gallery:begin"):
        gallery.fill(folder / "page.md", folder / "parts", folder, [EXHIBIT], codec)


def test_the_gallery_is_of_the_weights_that_ship_and_small(codec: Codec) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"Weights {codec.model.id_hex}." in text, "run python -m bench.show.gallery KODAK"
    addresses = re.findall(r'src="([^"]+)"', text)
    assert len(addresses) == 4 * len(gallery.EXHIBITS)
    parts = set((ROOT / "docs" / "pictures" / "gallery").iterdir())
    assert {PAGE.parent / address for address in addresses} == parts
    assert sum(path.stat().st_size for path in parts) < 1.5e6


def test_the_script_makes_a_slider_of_four_pictures(tmp_path: Path) -> None:
    script, style = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("gallery.js", "site.css"))
    images = "".join(
        f'<img src="{ROOT / "docs" / "pictures" / "gallery" / "kodim23-45"}-{name.lower()}.webp" alt="{name}">'
        for name in ("original", "JPEG", "AVIF", "vaecodec")
    )
    page = tmp_path / "page.html"
    page.write_text(
        f'<body><style>{style}</style><div class="compare">{images}</div><script>{script}</script>'
        """<script>
        const find = (query) => document.querySelector(".compare " + query), facts = document.body.dataset;
        facts.left = find(".left").textContent;
        find("input").value = 20;
        find("input").dispatchEvent(new Event("input"));
        facts.cut = find(".line").offsetLeft / find(".stage").offsetWidth;
        find(".pick button").click();
        facts.then = find(".over img").alt;
        </script></body>""",
        encoding="utf-8",
    )
    facts, _ = opened(page, 900, tmp_path)
    assert (facts["left"], facts["then"]) == ("AVIF", "original")
    assert float(facts["cut"]) == pytest.approx(0.2, abs=0.01)
