from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.measure.codecs import PEERS, OurSettings, settings_of
from bench.show import viewer
from bench.show.analysis import load_results
from bench.show.report import main, markdown_text, page_data, page_text
from vaecodec.evaluation import JPEG

from .conftest import photograph

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)

# Moves the slider, presses buttons, and leaves what happened as attributes of the page's body.
PROBE = """
<script>
(() => {
  const facts = document.body.dataset, find = (query) => document.querySelector(query);
  const press = (query, text) => [...document.querySelectorAll(query + " button")].find((b) => b.textContent.includes(text)).click();
  const cut = () => getComputedStyle(find(".stage .cut")).left;
  const range = find(".stage input");
  facts.before = cut();
  range.value = 20;
  range.dispatchEvent(new Event("input"));
  facts.after = cut();
  facts.left = find(".stage .left").textContent;
  press("#viewer-left", "original");
  facts.leftThen = find(".stage .left").textContent;
  facts.solid = document.querySelectorAll('#curves-chart path.curve[stroke-dasharray="none"]').length;
  facts.dashed = document.querySelectorAll('#curves-chart path.curve:not([stroke-dasharray="none"])').length;
  press("#curves-set", "val");
  facts.dashedOfVal = document.querySelectorAll('#curves-chart path.curve:not([stroke-dasharray="none"])').length;
  facts.speed = document.querySelectorAll("#speed-chart circle").length;
  facts.sizes = document.querySelectorAll("#sizes-chart path.curve").length;
  facts.bars = document.querySelectorAll("#gains-chart rect.bar").length;
  facts.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
})();
</script></body>"""


def page_with_crops(results: Path) -> str:
    """The page of made-up results, with one crop of made-up pictures."""
    samples, other = photograph(0), photograph(1)
    files = {"vaecodec": (b"12", samples), "avif": (b"123", other), "jpeg": (b"12", other)}
    candidate = viewer.Candidate("kodak", Path("0.png"), samples, files, 0, 0, 1.0)
    data = page_data(load_results(results))
    return page_text(data | {"crops": [viewer._describe(candidate, 0)], "thumbnails": {}})


def opened(page: Path, width: int, folder: Path) -> tuple[dict[str, str], list[str]]:
    """Opens a page in a browser; returns the attributes of its body, and the addresses that anything was asked from."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    log = folder / "net.json"
    done = subprocess.run(
        [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-default-apps",
            "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}",
            f"--window-size={width},900", "--virtual-time-budget=2000", "--dump-dom", page.as_uri(),
        ],
        capture_output=True, text=True, timeout=90, check=True,
    )  # fmt: skip
    body = re.search(r"<body([^>]*)>", done.stdout)
    assert body is not None
    return dict(re.findall(r'data-([\w-]+)="([^"]*)"', body.group(1))), requested(log)


def requested(log: Path) -> list[str]:
    text = log.read_text()
    try:
        events: list[dict[str, Any]] = json.loads(text)["events"]
    except json.JSONDecodeError:
        # The browser ended before it closed the list.
        events = json.loads(text.rstrip().rstrip(",") + "]}")["events"]
    started = (event.get("params", {}) for event in events)
    # The browser asks for its own things, the time for one; those have no page that they come from.
    urls = {one["url"] for one in started if "url" in one and one.get("initiator", "not an origin") != "not an origin"}
    return sorted(url for url in urls if not url.startswith(("data:", "file:")))


@pytest.mark.parametrize("width", [1366, 500])
def test_the_page_opens_from_the_file_system_and_draws_and_asks_nobody(
    width: int, results: Path, tmp_path: Path
) -> None:
    page = tmp_path / "index.html"
    page.write_text(page_with_crops(results).replace("</body>", PROBE), encoding="utf-8")
    facts, urls = opened(page, width, tmp_path)
    assert facts["ready"] == "yes"
    assert urls == []
    # The slider moves the line, and the left side changes.
    position = [float(facts[name].removesuffix("px")) for name in ("before", "after")]
    assert position[1] == pytest.approx(position[0] * 0.4, rel=0.01)
    assert (facts["left"], facts["left-then"]) == ("AVIF", "original")
    # Four measured curves, three published ones, which are of Kodak only.
    assert (facts["solid"], facts["dashed"], facts["dashed-of-val"]) == ("4", "3", "0")
    # Ours, JPEG, AVIF, and the learned one.
    assert (facts["speed"], facts["sizes"], facts["bars"]) == ("4", "1", "6")
    assert facts["wide"] == "0"


def test_a_page_that_asks_for_something_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "asks.html"
    page.write_text('<body data-ready="no"><img src="http://example.invalid/picture.png"></body>', encoding="utf-8")
    assert opened(page, 800, tmp_path)[1] == ["http://example.invalid/picture.png"]


def test_the_page_holds_no_address_to_load_anything_from(results: Path) -> None:
    text = page_with_crops(results)
    assert set(re.findall(r"https?://[^\s\"'<)]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in text
    assert not re.search(r"<(link|script|img)[^>]+(href|src)=\"(?!data:)", text)


def test_page_and_tables_of_rows_alone_need_no_pictures(results: Path, tmp_path: Path) -> None:
    assert main([str(results), "-o", str(tmp_path / "page.html")]) == 0
    assert "vaecodec" in (tmp_path / "page.html").read_text(encoding="utf-8")
    text = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert text == markdown_text(load_results(results))
    # A column for each window in the tables of two sets; the third is the table of other metrics.
    assert all(f"**{name}**\n\n| codec | main | wide | low | high |" in text for name in ("Kodak (6)", "val (6)"))
    assert text.count("| **vaecodec** | −50.0 | −50.0 | −50.0 | −50.0 |") == 3


def test_the_tables_mark_what_is_published_and_what_ran_with_random_weights(results: Path) -> None:
    text = markdown_text(load_results(results))
    assert "*mbt2018-mean, published*" in text
    assert "mbt2018-mean, level 4, random weights" in text
    # Eleven times as long as ours, and two rounds of three repeats.
    assert re.search(r"\| kodak, 0\.26 MP \| 110 ms \| 10 \| 0\.2 \|", text)
    assert "Median of 6 repeats in 2 rounds" in text
    assert "a processor, 2 cores" in text


def test_fitted_exponents_stand_on_the_page(results: Path) -> None:
    sizes = page_data(load_results(results))["sizes"]
    assert {one["what"]: one["exponent"] for one in sizes}["decode"] == pytest.approx(1, abs=1e-3)


def test_crops_are_of_files_with_no_more_bytes_than_ours_and_say_how_far_they_are(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if missing := PEERS["avif"].missing():
        pytest.skip(f"needs {missing}")
    # JPEG stands for our codec, so that no weights are needed.
    monkeypatch.setattr(viewer, "SIDE", 32)
    real = viewer.build_codec
    monkeypatch.setattr(viewer, "build_codec", lambda key, ours: JPEG if key == "vaecodec" else real(key, ours))
    crops = viewer.build_crops([pictures], OurSettings("none", tuple(settings_of("jpeg", OurSettings("")))))
    assert len(crops) == viewer.SHOWN
    for crop in crops:
        assert set(crop["others"]) == {"avif", "jpeg", "original"}
        assert all(crop["others"][key]["bytes"] <= crop["ours"]["bytes"] for key in ("avif", "jpeg"))
        assert crop["ours"]["image"].startswith("data:image/webp;base64,")
    # A line from the start, and one codec of one of two pictures at a time.
    shown = capsys.readouterr().err
    assert "crops:   0%" in shown and "6/6" in shown and "AVIF" in shown


def test_places_are_where_the_mean_difference_is_largest_and_smallest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(viewer, "SIDE", 8)
    difference = np.zeros((40, 50))
    difference[10:18, 20:28] = 3
    difference[30:38, 5:13] = -2
    assert viewer._places(difference) == [(10, 20, 3.0), (30, 5, -2.0)]


def test_thumbnails_are_small_pictures(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.fromarray(np.zeros((600, 800, 3), np.uint8)).save(path)
    assert len(viewer.thumbnail(path)) < 2000
