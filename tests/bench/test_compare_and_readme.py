from __future__ import annotations

from pathlib import Path

import pytest

from bench.measure.rows import read_table, write_table
from bench.show import compare, readme_results
from bench.show.analysis import load_results
from bench.show.rate_plot import rate_plot
from vaecodec.errors import UsageError

from .conftest import FACTORS, ROOT, write_results


def test_equal_results_are_no_worse(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main([str(results), str(results)]) == 0
    assert "nothing is worse" in capsys.readouterr().out


def test_more_bytes_on_a_whole_set_are_seen(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = write_results(tmp_path / "new", FACTORS | {"vaecodec": 0.51})
    assert compare.main([str(results), str(new)]) == 1
    assert "WORSE: kodak, main window: +2.00 %" in capsys.readouterr().out
    # The other way round it is a gain.
    assert compare.main([str(new), str(results)]) == 0


def test_one_picture_that_got_worse_is_seen_though_the_mean_is_better(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = write_results(tmp_path / "new", FACTORS | {"vaecodec": 0.45})
    table = read_table(new / "val.tsv.gz")
    for index, row in enumerate(table.rows):
        if row.codec == "vaecodec" and row.picture == "3.png":
            table.rows[index] = type(row)(**{**vars(row), "bytes": round(row.bytes * 1.2)})
    write_table(new / "val.tsv.gz", table)
    assert compare.main([str(results), str(new)]) == 1
    said = capsys.readouterr().out
    assert "WORSE: val, 3.png" in said and "main window" not in said.split("WORSE", 1)[1]


def test_a_picture_that_is_not_measured_any_more_is_seen(results: Path, tmp_path: Path) -> None:
    new = write_results(tmp_path / "new")
    table = read_table(new / "val.tsv.gz")
    table.rows = [row for row in table.rows if row.picture != "2.png"]
    write_table(new / "val.tsv.gz", table)
    changes = compare.compare_sets(load_results(results), load_results(new), "vaecodec")
    assert compare.worse(changes, 1, 3) == ["val, 2.png: not measured any more"]


def test_results_without_the_codec_cannot_be_compared(results: Path) -> None:
    with pytest.raises(UsageError, match="heic"):
        compare.main([str(results), str(results), "--codec", "heic"])


def test_the_readme_gets_its_section_between_the_marks_and_drift_is_seen(results: Path, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# Name\n\n<!-- results:begin -->\nold\n<!-- results:end -->\n\n## After\n")
    command = ["--results", str(results), "--file", str(readme)]
    assert readme_results.main([*command, "--check"]) == 1
    assert readme_results.main(command) == 0
    assert readme_results.main([*command, "--check"]) == 0
    text = readme.read_text()
    assert text.startswith("# Name\n\n<!-- results:begin -->\n") and text.endswith("<!-- results:end -->\n\n## After\n")
    # A column for each window in the tables of two sets; the third is the table of other metrics.
    assert all(f"**{name}**\n\n| codec | main | wide | low | high |" in text for name in ("Kodak (6)", "val (6)"))
    assert text.count("| **vaecodec** | −50.0 | −50.0 | −50.0 | −50.0 |") == 3
    assert "*VTM, published*" in text and "old" not in text
    write_results(results, FACTORS | {"vaecodec": 0.6})
    assert readme_results.main([*command, "--check"]) == 1


@pytest.mark.parametrize("text", ["none", "<!-- results:end --> <!-- results:begin -->", "<!-- results:begin -->" * 2])
def test_a_readme_without_both_marks_in_order_is_left_alone(text: str) -> None:
    with pytest.raises(UsageError, match="results:begin"):
        readme_results.with_block(text, "results", "new")


def test_a_file_without_marks_is_refused(results: Path, tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Name\n")
    with pytest.raises(UsageError, match="has no marks"):
        readme_results.main(["--results", str(results), "--file", str(tmp_path / "page.md")])


def test_readme_site_and_plot_show_the_results_of_the_newest_release(capsys: pytest.CaptureFixture[str]) -> None:
    if not (ROOT / "README.md").is_file() or not readme_results.RELEASES.is_dir():
        pytest.skip("a package without README and results")
    code = readme_results.main(["--check"])
    assert (code, capsys.readouterr().err) == (0, "")


def test_the_plot_has_ours_and_three_peers_and_follows_the_rows() -> None:
    if not readme_results.RELEASES.is_dir():
        pytest.skip("no release has results yet")
    found = load_results(readme_results.newest_release())
    text = rate_plot(found)
    assert all(f">{name}</text>" in text for name in ("vaecodec", "AVIF", "JPEG XL", "JPEG 4:2:0"))
    for row in found.tables["kodak"].rows:
        if row.codec == "avif":
            object.__setattr__(row, "bytes", row.bytes * 2)
    assert rate_plot(found) != text


def test_words_of_the_readme_are_few() -> None:
    if not (ROOT / "README.md").is_file():
        pytest.skip("a package without README")
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 1200


def test_the_first_figures_are_of_one_set_and_the_others_are_told(results: Path) -> None:
    text = readme_results.numbers(load_results(results))
    # Half of JPEG's bytes against 0.55 of them, whatever the metric.
    assert "| bytes at equal SSIMULACRA2, against AVIF | −9.1 % |" in text
    assert "Means over the test set Kodak (6), " in text
    assert "Against AVIF on other sets, kept out of training too: −9.1 % (val, 6 pictures). " in text
    # Those weights alone that the figures are of.
    assert "Weights: `psnr`." in text
