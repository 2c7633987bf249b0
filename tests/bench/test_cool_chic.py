from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from bench.measure.cool_chic import NAME, NOTE, SAMPLE, main
from bench.measure.rows import read_times
from vaecodec.errors import VaecodecError

from .conftest import photograph


def checkout_of(folder: Path, program: str) -> Path:
    """A folder that looks like the real one; its sample is a PNG."""
    (folder / "coolchic" / "bitstream").mkdir(parents=True)
    (folder / "coolchic" / "bitstream" / "decode.py").write_text(program)
    (folder / SAMPLE).parent.mkdir(parents=True)
    Image.fromarray(photograph(1)).save(folder / "sample.png")
    (folder / "sample.png").rename(folder / SAMPLE)
    kodak = folder / "kodak"
    kodak.mkdir()
    Image.fromarray(photograph(0)).save(kodak / "kodim14.png")
    return kodak


def test_its_decoder_is_timed_in_processes_of_its_own(tmp_path: Path) -> None:
    copies = "import shutil\ndef decode_video(source, decoded_path, verbosity): shutil.copy(source, decoded_path)\n"
    kodak = checkout_of(tmp_path, copies)
    assert main([str(tmp_path), str(kodak), "-o", str(tmp_path), "--repeats", "2"]) == 0
    rows = read_times(tmp_path / "time.jsonl")
    assert {(row.codec, row.operation, row.note) for row in rows} == {(NAME, "decode", NOTE)}
    assert {row.round for row in rows} == {1, 2} and all(len(row.seconds) == 2 for row in rows)
    assert all(row.psnr is not None and 5 < row.psnr < 30 and (row.width, row.height) == (64, 48) for row in rows)


def test_a_decoder_that_does_not_run_is_an_error_of_one_line(tmp_path: Path) -> None:
    kodak = checkout_of(tmp_path, "raise ImportError('fvcore is missing')\n")
    with pytest.raises(VaecodecError, match="fvcore is missing"):
        main([str(tmp_path), str(kodak), "-o", str(tmp_path)])
