"""How many threads a file is computed with: ``--threads``, alone and in the workers of ``-j``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vaecodec.cli import main
from vaecodec.cli.compress import CompressJob
from vaecodec.cli.decompress import DecompressJob
from vaecodec.cli.evaluate import command as evaluate
from vaecodec.codec.options import Access, EncodeOptions


def test_compress_and_decompress_hand_threads_to_the_codec(api: Any, photograph: Path, tmp_path: Path) -> None:
    file = str(tmp_path / "a.vaec")
    assert main(["compress", str(photograph), "-o", file, "--threads", "3"]) == 0
    assert main(["decompress", file, "-o", str(tmp_path / "a.png"), "--threads", "2"]) == 0
    assert api.threads == [3, 2]
    assert main(["decompress", file, "-o", str(tmp_path / "b.png")]) == 0
    assert api.threads[-1] is None


@pytest.mark.parametrize(("asked", "in_worker"), [(None, 4), (1, 1), (6, 6)])
def test_a_worker_computes_with_its_share_of_the_cores_or_with_what_was_asked_for(
    api: Any, asked: int | None, in_worker: int
) -> None:
    access = Access(threads=asked)
    CompressJob(EncodeOptions(), access, False, False, True).prepare(4)
    decompress = DecompressJob(None, None, False, access, None, False, False, True)
    decompress.prepare(4)
    assert (api.threads[-1], decompress.access.threads) == (in_worker, in_worker)


def test_the_file_is_the_same_with_any_number_of_threads(photograph: Path, tmp_path: Path) -> None:
    for threads in ("1", "3"):
        assert main(["compress", str(photograph), "-o", str(tmp_path / threads) + ".vaec", "--threads", threads]) == 0
    assert (tmp_path / "1.vaec").read_bytes() == (tmp_path / "3.vaec").read_bytes()


def test_evaluate_takes_threads(tmp_path: Path, photograph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def codec(*_: Any, **given: Any) -> None:
        seen.append(given["threads"])
        raise InterruptedError

    monkeypatch.setattr("vaecodec.api.Codec", codec)
    with pytest.raises(InterruptedError):
        evaluate.main([str(photograph.parent), "--threads", "5"], standalone_mode=False)
    assert seen == [5]


def test_numbers_that_are_none_are_refused(photograph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compress", str(photograph), "--threads", "0"]) == 2
    assert "--threads" in capsys.readouterr().err
    assert main(["compress", str(photograph), "--threads", "2", "--scheduler", "tcp://nowhere:1"]) == 2
    assert "--scheduler excludes --threads" in capsys.readouterr().err
