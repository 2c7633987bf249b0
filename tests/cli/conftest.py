"""A codec small enough to test the command line with: its files are a mark, the quality and the samples."""

from __future__ import annotations

import os
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from vaecodec.bitstream.container import KIND_PICTURE
from vaecodec.codec.options import DEFAULT_OPTIONS, Access, EncodeOptions
from vaecodec.errors import DamagedFileError, NotVaecodecFileError, UnknownModelError, WeightsNotFoundError
from vaecodec.picture import Picture, read_picture

MARK = b"fake"
OTHER_MODEL = b"\xff\xff\xff\xff"


@dataclass(frozen=True)
class Encoded:
    data: bytes
    source: np.ndarray
    samples: np.ndarray
    quality: float
    estimated_bits: float
    seconds: dict[str, float]


@dataclass
class FakeApi:
    """Stands for vaecodec.api and remembers what it was asked for, and with how many threads."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    threads: list[int | None] = field(default_factory=list)

    def module(self) -> types.ModuleType:
        module = types.ModuleType("vaecodec.api")
        calls, all_threads = self.calls, self.threads

        class Codec:
            def __init__(
                self,
                model: str | Path = "psnr",
                *,
                device: str = "auto",
                backend: str = "auto",
                threads: int | None = None,
            ) -> None:
                if model == "none":
                    raise WeightsNotFoundError("none: no such weights: see 'vaecodec models'")
                calls.append({"model": model, "device": device})
                all_threads.append(threads)

            def encode(self, picture: Picture, options: EncodeOptions = DEFAULT_OPTIONS, **given: Any) -> Encoded:
                options = options.changed(**given)
                quality, check = options.quality_or(50.0), options.check
                if options.target:
                    calls.append({"target": options.target, "check": check})
                else:
                    calls.append({"quality": quality, "check": check, "orientation": picture.exif})
                step = 1 + round((100 - quality) / 4)
                samples = (picture.samples // step * step).astype(np.uint8)
                head = np.array(picture.samples.shape, "<u4").tobytes()
                # Finer steps take more bytes, as with a real codec.
                return Encoded(
                    MARK + head + bytes([check]) + samples.tobytes() + bytes(int(20 * quality)),
                    picture.samples,
                    samples,
                    quality,
                    8000.0,
                    {"model": 0.1},
                )

            def decompress(self, file: Any) -> Picture:
                data = file if isinstance(file, bytes) else file.data
                height, width, channels = np.frombuffer(data[4:16], "<u4")
                size = int(height * width * channels)
                samples = np.frombuffer(data[17 : 17 + size], np.uint8).reshape(height, width, channels)
                return Picture(samples.copy(), xmp=b"<x/>")

        def read_container(data: bytes, *, limits: Any = None, keep_damaged: bool = False) -> SimpleNamespace:
            if not data.startswith(MARK):
                raise NotVaecodecFileError("the data: not a .vaec file")
            height, width, channels = map(int, np.frombuffer(data[4:16], "<u4"))
            if data[4:8] != OTHER_MODEL and len(data) < 17 + height * width * channels:
                raise DamagedFileError("the data: checksum does not match: damaged: fetch it again")
            header = SimpleNamespace(kind=KIND_PICTURE, width=width, height=height, channels=channels)
            return SimpleNamespace(data=data, header=header, alpha=None, check=1 if data[16] else None)

        def find_codec_for(container: SimpleNamespace, access: Access) -> Codec:
            if container.data[4:8] == OTHER_MODEL and not access.models:
                raise UnknownModelError("no installed model has the id ffffffff: name its weights with --model")
            calls.append({"models": access.models, "device": access.device})
            return Codec(threads=access.threads)

        def info(
            data: bytes,
            *,
            latents: bool = False,
            models: Sequence[str] = (),
            device: str = "auto",
            backend: str = "auto",
            limits: Any = None,
        ) -> dict[str, object]:
            if not data.startswith(MARK):
                raise NotVaecodecFileError("the data: not a .vaec file")
            return {
                "width": 7,
                "tiles": [{"bytes": 3}],
                "check": "00ff" if data[16:17] == b"\1" else None,
                "sections": ["HEADER", "DATA"],
            } | ({"latents": "ab"} if latents else {})

        def list_models() -> list[SimpleNamespace]:
            macs = {"analysis": 5.0, "synthesis": 5.5, "prior": 4.1, "decode_as_executed": 10.5}
            card = {"name": "psnr", "id_hex": "0123456789abcdef", "path": Path("psnr.safetensors")}
            return [SimpleNamespace(**card, macs=macs, settings={"width": 192}, size=2_500_000)]

        module.__dict__.update(
            Codec=Codec,
            find_codec_for=find_codec_for,
            info=info,
            list_models=list_models,
            read_container=read_container,
            DEFAULT_MODEL="psnr",
            DEFAULT_QUALITY=50.0,
        )
        return module


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    fake = FakeApi()
    module = fake.module()
    monkeypatch.setitem(sys.modules, "vaecodec.api", module)
    monkeypatch.setattr("vaecodec.sources._MAGIC", MARK)
    package = sys.modules["vaecodec"]
    monkeypatch.setattr(package, "api", module, raising=False)
    return fake


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A picture of 24 × 16 in a file."""
    rows, columns = np.mgrid[0:16, 0:24]
    samples = np.stack([rows * 15, columns * 10, rows + columns], axis=2).astype(np.uint8)
    path = tmp_path / "photo.png"
    read_picture(samples).to_pil().save(path)
    return path


@pytest.fixture
def never_blocks() -> Iterator[Callable[[Path], None]]:
    """Makes of a named pipe one that nobody waits at for more than a few seconds: who opens it then finds it empty."""
    done = threading.Event()

    def release(pipe: Path) -> None:
        while not done.wait(5):
            with suppress(OSError):
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))

    yield lambda pipe: threading.Thread(target=release, args=(pipe,), daemon=True).start()
    done.set()
