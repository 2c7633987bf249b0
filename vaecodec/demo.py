"""A demonstration on one real photograph: our files and their pictures, beside other codecs at the same size.

::

    photograph ─► our file at several qualities ─► its size ─► the best JPEG, WebP, AVIF of at most that size ─► table, picture
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vaecodec.atomic import check_output, write_atomically
from vaecodec.errors import MissingExtraError
from vaecodec.evaluation.peers import AVIF, JPEG, WEBP, PictureCodec, PillowCodec, SizeSearch
from vaecodec.evaluation.plots import side_by_side
from vaecodec.evaluation.tables import Cell, text_table
from vaecodec.metrics.fidelity import Samples, bits_per_pixel, ms_ssim, psnr
from vaecodec.picture import Picture, write_picture

DEMO_QUALITIES: tuple[float, ...] = (10, 25, 40, 55, 70, 85)
DEMO_PEERS: tuple[PillowCodec, ...] = (JPEG, WEBP, AVIF)

_NAME = "astronaut"


@dataclass(frozen=True)
class CodedPicture:
    """One picture after one codec.

    Attributes:
        codec: the codec's name.
        quality: its setting.
        size: of the file, in bytes.
        samples: uint8 [H, W, 3], as decoded.
        psnr: in dB.
        ms_ssim: None where it cannot be computed.
    """

    codec: str
    quality: float
    size: int
    samples: Samples
    psnr: float
    ms_ssim: float | None


@dataclass(frozen=True)
class Comparison:
    """Our file at one quality, and the best that each peer makes of at most its size; None for one that has no file so small."""

    ours: CodedPicture
    peers: dict[str, CodedPicture | None]


@dataclass(frozen=True)
class Demonstration:
    """What was measured and written.

    Attributes:
        comparisons: one for each quality, ascending.
        table: the same for people.
        files: what was written; the first one is the picture to look at.
    """

    comparisons: tuple[Comparison, ...]
    table: str
    files: tuple[Path, ...]


def photograph() -> Samples:
    """Returns uint8 [512, 512, 3]: Eileen Collins, a photograph of NASA in the public domain, from scikit-image's own files.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    try:
        from skimage.data import astronaut
    except ImportError as error:
        raise MissingExtraError(
            "the demonstration's photograph comes with scikit-image: pip install 'vaecodec[demo]'"
        ) from error
    samples: Samples = astronaut()  # type: ignore[no-untyped-call,unused-ignore]
    return samples


def demonstrate(
    codec: PictureCodec, folder: Path, *, qualities: Sequence[float] = DEMO_QUALITIES, overwrite: bool = False
) -> Demonstration:
    """Compresses the photograph, restores it, compares, and writes all files into a folder, which is made if need be.

    Raises:
        MissingExtraError: scikit-image is not installed.
        OutputExistsError: a file is there already and overwrite is False.
    """
    original = photograph()
    folder.mkdir(parents=True, exist_ok=True)
    sheet = folder / f"{_NAME}-side-by-side.png"
    check_output(sheet, overwrite=overwrite)

    files = [folder / f"{_NAME}.png"]
    write_picture(Picture(original), files[0], overwrite=overwrite)
    searches = [(peer, SizeSearch(peer, original)) for peer in DEMO_PEERS]
    comparisons = []
    for quality in sorted(qualities):
        data = codec.encode(Picture(original), quality=quality).data
        path = folder / f"{_NAME}-q{quality:g}.vaec"
        write_atomically(path, data, overwrite=overwrite)
        restored = codec.decompress(data)
        picture = path.with_suffix(".png")
        write_picture(restored, picture, overwrite=overwrite)
        files += [path, picture]
        ours = _measured("vaecodec", quality, len(data), original, restored.samples)
        comparisons.append(
            Comparison(ours, {peer.name: _peer(peer, search, original, len(data)) for peer, search in searches})
        )

    write_picture(Picture(_sheet(original, comparisons)), sheet, overwrite=overwrite)
    return Demonstration(tuple(comparisons), _table(comparisons, original), (sheet, *files))


def _peer(peer: PillowCodec, search: SizeSearch, original: Samples, size: int) -> CodedPicture | None:
    found = search.best_within(size)
    if found is None:
        return None
    quality, data = found
    return _measured(peer.name, quality, len(data), original, peer.decode(data))


def _measured(codec: str, quality: float, size: int, original: Samples, samples: Samples) -> CodedPicture:
    try:
        similarity = ms_ssim(original, samples)
    except MissingExtraError:
        similarity = None
    return CodedPicture(codec, quality, size, samples, psnr(original, samples), similarity)


def _table(comparisons: Sequence[Comparison], original: Samples) -> str:
    height, width = original.shape[:2]
    names = [peer.name for peer in DEMO_PEERS]
    rows: list[list[Cell]] = []
    for comparison in comparisons:
        ours = comparison.ours
        coded = [ours, *(comparison.peers[name] for name in names)]
        rate = bits_per_pixel(ours.size, width, height)
        rows.append([f"{ours.quality:g}", f"{ours.size:,}", f"{rate:.3f}", *(_figures(one) for one in coded)])
    return text_table(["quality", "bytes", "bpp", "vaecodec", *names], rows)


def _figures(coded: CodedPicture | None) -> str:
    if coded is None:
        return "not that small"
    similarity = "" if coded.ms_ssim is None else f" {coded.ms_ssim:.4f}"
    return f"{coded.psnr:.2f} dB{similarity}"


def _sheet(original: Samples, comparisons: Sequence[Comparison]) -> Samples:
    """Sets the original, ours and JPEG next to each other at the lowest quality whose size JPEG reaches."""
    height, width = original.shape[:2]
    reached = [comparison for comparison in comparisons if comparison.peers[JPEG.name] is not None]
    chosen = reached[0] if reached else comparisons[0]
    panels = [(f"original\n{width} x {height}", original)]
    for coded in (chosen.ours, chosen.peers[JPEG.name]):
        if coded is not None:
            rate = bits_per_pixel(coded.size, width, height)
            caption = (
                f"{coded.codec}, quality {coded.quality:g}\n{coded.size:,} bytes, {rate:.3f} bpp, {coded.psnr:.2f} dB"
            )
            panels.append((caption, coded.samples))
    return side_by_side(panels)
