"""Programs that are started with standard streams closed, as some daemons do, and folders that a failed run made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaecodec.cli import main


def run(arguments: str, closed: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command in a shell, with a stream closed."""
    line = f'"{sys.executable}" -c "import sys; from vaecodec.cli import main; sys.exit(main())" {arguments} {closed}'
    return subprocess.run(line, check=False, shell=True, cwd=folder, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a picture and its file."""
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(tmp_path / "a.png")
    assert main(["compress", str(tmp_path / "a.png")]) == 0
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="the shell closes no streams here")
class TestClosedStreams:
    """One line, or the work done."""

    @pytest.mark.parametrize("arguments", ["compress a.png -o b.out.vaec", "decompress a.vaec -o b.out.png"])
    def test_without_standard_error_the_work_is_done(self, folder: Path, arguments: str) -> None:
        assert run(arguments, "2>&-", folder).returncode == 0
        assert len(list(folder.glob("b.out.*"))) == 1

    @pytest.mark.parametrize("arguments", ["compress - -o b.vaec", "decompress - -o b.png", "info -"])
    def test_without_standard_input_one_line(self, folder: Path, arguments: str) -> None:
        done = run(arguments, "<&-", folder)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "standard input is closed: name a file" in done.stderr

    @pytest.mark.parametrize("arguments", ["compress a.png -o -", "decompress a.vaec -o -"])
    def test_without_standard_output_one_line(self, folder: Path, arguments: str) -> None:
        done = run(arguments, ">&-", folder)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "standard output is closed: name a file with -o" in done.stderr


def test_a_failed_run_leaves_no_folder_that_it_made(folder: Path) -> None:
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:60])
    kept = folder / "there"
    kept.mkdir()
    assert main(["compress", str(folder / "cut.png"), "-o", f"{folder}/new/inner/"]) == 3
    assert main(["compress", str(folder / "cut.png"), "-o", f"{kept}/"]) == 3
    assert not (folder / "new").exists() and kept.exists()
    assert main(["compress", str(folder / "a.png"), str(folder / "cut.png"), "-o", f"{folder}/new/"]) != 0
    assert [path.name for path in (folder / "new").iterdir()] == ["a.vaec"]


def test_a_plot_without_its_package_is_refused_before_anything_is_measured(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vaecodec.evaluation.plots.find_spec", lambda name: None)
    assert main(["evaluate", str(folder), "-q", "50", "--plot", str(folder / "c.png")]) == 6
    told = capsys.readouterr()
    assert told.out == "" and "plots need the package matplotlib" in told.err
