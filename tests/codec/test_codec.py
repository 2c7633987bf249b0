"""From picture to file and back with the shipped weights."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import vaecodec
from vaecodec import api
from vaecodec.api import Codec, Tiling
from vaecodec.bitstream.container import KIND_PICTURE, TILE_LATENTS, Header, Tile, read_container, read_header
from vaecodec.codec.decoder import reconstruct
from vaecodec.codec.rectangle import Rectangle, tile_grid
from vaecodec.errors import (
    DamagedFileError,
    LimitError,
    PictureError,
    UnknownModelError,
    UsageError,
    WeightsNotFoundError,
)
from vaecodec.evaluation import psnr
from vaecodec.models.settings import FAST
from vaecodec.picture import Picture


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 300), (2, 3), (15, 17), (16, 16), (64, 64), (65, 63), (129, 40), (200, 333)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_comes_back_in_its_size_and_as_the_encoder_saw_it(
    codec: Codec, photograph: np.ndarray, size: tuple[int, int], channels: int
) -> None:
    samples = photograph[: size[0], : size[1], :channels]
    encoded = codec.encode(Picture(samples), quality=60)
    decoded = codec.decompress(encoded.data)
    assert decoded.samples.shape == samples.shape
    assert np.array_equal(decoded.samples, encoded.samples)
    assert psnr(samples, decoded.samples) > 24


def test_rate_and_distortion_rise_with_quality(codec: Codec, photograph: np.ndarray) -> None:
    picture = Picture(photograph[:256, 128:384])
    points = []
    for quality in range(0, 101, 10):
        encoded = codec.encode(picture, quality=quality)
        points.append((len(encoded.data), psnr(picture.samples, encoded.samples)))
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(points)), points


def test_samples_are_synthesised_when_somebody_asks_for_them(
    codec: Codec, photograph: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, asked = Picture(photograph[:64, :64]), []
    synthesise = codec.backend.synthesise
    monkeypatch.setattr(codec.backend, "synthesise", lambda *given: asked.append(1) or synthesise(*given))
    codec.compress(picture)
    encoded = codec.encode(picture)
    assert not asked
    assert encoded.samples is encoded.samples
    assert asked == [1]


def test_the_file_is_hardly_larger_than_the_estimate(codec: Codec, photograph: np.ndarray) -> None:
    for quality in (0, 50, 100):
        encoded = codec.encode(Picture(photograph), quality=quality)
        header_and_rounding = 8 * len(encoded.data) - encoded.estimated_bits
        assert 0 < header_and_rounding < max(8 * 70, 0.01 * encoded.estimated_bits)


def test_tiles_and_one_piece_differ_in_the_grid_alone(codec: Codec, photograph: np.ndarray) -> None:
    picture = Picture(photograph[:300, :420])
    whole = codec.encode(picture, quality=70)
    tiled = codec.encode(picture, quality=70, tiling=Tiling(1000, 7))
    assert read_header(tiled.data).tile_exponent == 7
    assert len(read_container(tiled.data).tiles) == 12
    assert np.array_equal(codec.decompress(tiled.data).samples, tiled.samples)
    # Not the same latents (each tile has its own z), but no seams: the error at tile borders is that of the inside.
    error = (tiled.samples.astype(int) - picture.samples) ** 2
    seams = np.concatenate([error[:, 127:129].reshape(-1), error[127:129].reshape(-1)])
    assert seams.mean() < 1.3 * error.mean()
    assert abs(psnr(picture.samples, tiled.samples) - psnr(picture.samples, whole.samples)) < 0.1


def test_the_same_latents_in_tiles_and_in_one_piece_give_the_same_samples(codec: Codec, photograph: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    y16 = (rng.normal(size=(20, 24, FAST.latents)) * 40).astype(np.int32)
    header, picture = Header(KIND_PICTURE, codec.model.id, 380, 315, 3, 8, 900, 0), Rectangle(0, 0, 380, 315)
    whole, tiled = (
        reconstruct(
            codec.model, header, [(Tile(TILE_LATENTS, b""), r) for r in tile_grid(380, 315, exponent)], y16, picture
        )
        for exponent in (0, 7)
    )
    assert np.array_equal(whole, tiled)


def test_metadata_come_back_byte_for_byte(codec: Codec, photograph: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif_bytes = exif.tobytes().removeprefix(b"Exif\0\0")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Picture(photograph[:64, :64], icc=profile, exif=exif_bytes, xmp=b"<x:xmpmeta/>")
    decoded = codec.decompress(codec.compress(picture))
    assert (decoded.icc, decoded.exif, decoded.xmp) == (picture.icc, picture.exif, picture.xmp)
    stripped = codec.decompress(codec.compress(picture, strip=True))
    assert (stripped.icc, stripped.exif, stripped.xmp) == (None, None, None)


def test_grey_pictures_stay_grey_and_neutral(codec: Codec, photograph: np.ndarray) -> None:
    grey = photograph[:96, :96, 1]
    decoded = vaecodec.decompress(vaecodec.compress(grey, quality=80))
    assert decoded.samples.shape == (96, 96, 1)
    assert decoded.to_pil().mode == "L"


def test_arrays_paths_bytes_and_images_are_all_pictures(codec: Codec, photograph: np.ndarray, tmp_path: Path) -> None:
    samples = np.ascontiguousarray(photograph[:48, :48])
    image = Image.fromarray(samples)
    image.save(tmp_path / "a.png")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    sources = [samples, image, tmp_path / "a.png", str(tmp_path / "a.png"), buffer.getvalue()]
    files = {codec.compress(source, quality=50) for source in sources}
    assert len(files) == 1


def test_a_codec_serves_many_threads(codec: Codec, photograph: np.ndarray) -> None:
    crops = [Picture(photograph[i * 40 : i * 40 + 64, : 64 + 8 * i]) for i in range(8)]
    expected = [codec.compress(crop) for crop in crops]
    got: list[bytes] = [b""] * len(crops)

    def work(i: int) -> None:
        got[i] = codec.compress(crops[i])
        assert np.array_equal(codec.decompress(got[i]).samples, codec.decompress(expected[i]).samples)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(crops))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == expected


def test_the_checksum_of_the_samples_is_verified(codec: Codec, photograph: np.ndarray) -> None:
    import dataclasses

    from vaecodec.bitstream.container import write_container

    data = codec.compress(photograph[:64, :64], check=True)
    container = read_container(data)
    assert container.check is not None
    codec.decompress(data)
    wrong = write_container(dataclasses.replace(container, check=container.check ^ 1))
    with pytest.raises(DamagedFileError, match="do not match"):
        codec.decompress(wrong)


def test_lossless_tiles_are_read(codec: Codec, photograph: np.ndarray) -> None:
    import dataclasses

    from vaecodec.bitstream.container import TILE_PNG, Tile, write_container

    samples = np.ascontiguousarray(photograph[:64, :64])
    container = read_container(codec.compress(samples))
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "PNG")
    lossless = dataclasses.replace(container, tiles=(Tile(TILE_PNG, buffer.getvalue()),))
    assert np.array_equal(codec.decompress(write_container(lossless)).samples, samples)
    wrong_size = dataclasses.replace(lossless, header=dataclasses.replace(container.header, width=63))
    with pytest.raises(DamagedFileError, match="wrong size"):
        codec.decompress(write_container(wrong_size))


@pytest.mark.parametrize("channels", [1, 3])
def test_transparency_comes_back_unchanged(codec: Codec, photograph: np.ndarray, channels: int) -> None:
    samples = photograph[:70, :90, :channels]
    soft = np.clip(np.add.outer(np.arange(70), np.arange(90)) * 3 - 100, 0, 255).astype(np.uint8)
    for alpha in (soft, np.full_like(soft, 7), np.zeros_like(soft), np.where(soft > 9, 255, 0).astype(np.uint8)):
        encoded = codec.encode(Picture(samples, alpha=alpha), quality=60, check=True)
        decoded = codec.decompress(encoded.data)
        assert np.array_equal(decoded.alpha, alpha)
        assert np.array_equal(decoded.samples, encoded.samples)
        visible = alpha > 0
        assert not visible.any() or psnr(samples[visible][:, None], decoded.samples[visible][:, None]) > 24
        assert vaecodec.info(encoded.data)["alpha_bytes"] < 2000
    opaque = codec.compress(Picture(samples, alpha=np.full_like(soft, 255)))
    assert opaque == codec.compress(Picture(samples))
    assert vaecodec.info(opaque)["alpha_bytes"] is None


def test_colour_under_full_transparency_costs_nothing(codec: Codec, photograph: np.ndarray) -> None:
    alpha = np.zeros((512, 512), np.uint8)
    alpha[:, 128:256] = 255
    noise = np.random.default_rng(5).integers(0, 256, photograph.shape, dtype=np.uint8)
    hidden = np.where(alpha[:, :, None] == 0, noise, photograph)
    data = codec.compress(Picture(hidden, alpha=alpha))
    assert data == codec.compress(Picture(photograph, alpha=alpha))
    # A quarter of the picture and its two edges.
    assert len(data) < 1.25 * len(codec.compress(Picture(photograph[:, 128:256])))


def test_a_damaged_alpha_plane_is_an_error(codec: Codec, photograph: np.ndarray) -> None:
    import dataclasses

    from vaecodec.bitstream.container import ALPHA_PNG, ALPHA_WEBP, write_container

    container = read_container(codec.compress(photograph[:32, :32]))
    for alpha in ((ALPHA_PNG, b"no"), (ALPHA_WEBP, b"RIFF"), (ALPHA_PNG, b"\x89PNG\r\n\x1a\n")):
        with pytest.raises(DamagedFileError, match="alpha"):
            codec.decompress(write_container(dataclasses.replace(container, alpha=alpha)))


def test_what_makes_no_sense_is_refused(codec: Codec, photograph: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="from 0 to 100"):
        codec.compress(photograph[:16, :16], quality=101)
    with pytest.raises(UsageError, match="from 0 to 100"):
        codec.compress(photograph[:16, :16], quality=float("nan"))
    with pytest.raises(PictureError):
        codec.compress(photograph.astype(np.float32))
    with pytest.raises(UsageError, match="device"):
        Codec(device="toaster")
    with pytest.raises(UnknownModelError, match="installed are"):
        Codec("nonesuch")
    with pytest.raises(WeightsNotFoundError):
        Codec(tmp_path / "none.safetensors")
    with pytest.raises(LimitError):
        codec.decompress(codec.compress(photograph[:64, :64]), limits=api.Limits(max_pixels=4000))


def test_a_file_of_an_unknown_model_is_named_with_its_id(codec: Codec, photograph: np.ndarray) -> None:
    import dataclasses

    from vaecodec.bitstream.container import write_container

    container = read_container(codec.compress(photograph[:16, :16]))
    foreign = dataclasses.replace(container, header=dataclasses.replace(container.header, model_id=bytes(range(8))))
    data = write_container(foreign)
    for read in (vaecodec.decompress, codec.decompress, lambda d: vaecodec.info(d, latents=True)):
        with pytest.raises(UnknownModelError, match="0001020304050607"):
            read(data)
    assert vaecodec.info(data)["model"] is None


def test_info_says_what_the_file_says(codec: Codec, photograph: np.ndarray) -> None:
    data = codec.compress(Picture(photograph[:100, :80], icc=b"x" * 10), quality=33, check=True)
    facts = vaecodec.info(data, latents=True)
    json.dumps(facts)
    assert (facts["width"], facts["height"], facts["channels"], facts["quality"]) == (80, 100, 3, 33)
    assert facts["bytes"] == len(data)
    assert facts["bpp"] == 8 * len(data) / 8000
    assert (facts["icc_bytes"], facts["exif_bytes"]) == (10, None)
    assert facts["model"] == api.DEFAULT_MODEL
    assert facts["latents_sha256"] == codec.latents_digest(data)


def test_the_installed_models_are_listed_with_their_cost() -> None:
    cards = {card.name: card for card in vaecodec.list_models()}
    card = cards["psnr"]
    assert card.macs["synthesis"] + card.macs["prior"] <= 10
    assert card.macs["decode_as_executed"] >= card.macs["synthesis"] + card.macs["prior"]
    assert card.id_hex == Codec("psnr").model.id_hex
    assert sum(card.size for card in cards.values()) < 24 << 20


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = (
        "import sys, vaecodec; print(vaecodec.__version__); "
        "print(*[m for m in ('torch', 'constriction', 'numpy', 'PIL') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.split() == [vaecodec.__version__]


def test_the_public_names_are_these_and_all_there() -> None:
    assert sorted(vaecodec.__all__) == sorted(
        ["DEFAULT_MODEL", "DEFAULT_QUALITY", "Codec", "EncodeOptions", "Encoded", "ModelCard", "Picture", "VaecodecError",
         "__version__", "compress", "decompress", "find_codec_for", "info", "list_models", "read_picture", "write_picture"]
    )  # fmt: skip
    for name in vaecodec.__all__:
        assert getattr(vaecodec, name) is not None
