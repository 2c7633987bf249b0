"""Reads every file that others have collected for their decoders, and compares samples with those of Pillow or the format's own library.

    python -m bench.conformance FOLDER... [--markdown]

For each file: read right, refused in one line, or wrong: other samples, or an exception that is none of ours. Files without an
independent reader here are "not compared". Collections: image-rs/image ``tests/images``, strukturag/libheif ``examples`` and
``tests/data``, AOMediaCodec/libavif ``tests/data``, python-pillow/Pillow ``Tests/images``.
"""

from __future__ import annotations

import argparse
import collections
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vaecodec.errors import VaecodecError
from vaecodec.picture import Picture, read_picture
from vaecodec.picture_files import READABLE_EXTENSIONS

_MORE_EXTENSIONS = frozenset(
    {
        ".bw",
        ".cur",
        ".dds",
        ".eps",
        ".exr",
        ".fli",
        ".ff",
        ".hdr",
        ".icns",
        ".ico",
        ".im",
        ".jpf",
        ".j2c",
        ".jpx",
        ".pbm",
    }
    | {
        ".pcx",
        ".pdf",
        ".psd",
        ".qoi",
        ".ras",
        ".sgi",
        ".svg",
        ".tga",
        ".xbm",
        ".xpm",
        ".y4m",
        ".apng",
        ".html",
        ".xml",
        ".wmf",
    }
)
# Two decoders of one lossy stream may round differently.
_LEVELS = 2
Planes = npt.NDArray[Any]


def rgba(planes: Planes) -> Planes:
    """Any of grey, grey and alpha, RGB, RGBA -> RGBA of 0 to 255; nothing where nothing is seen."""
    full = 255 if planes.dtype == np.uint8 else 65535
    wide = planes.astype(np.float64) * (255 / full)
    wide = wide[:, :, np.newaxis] if wide.ndim == 2 else wide
    alpha = wide[:, :, -1:] if wide.shape[2] in (2, 4) else np.full_like(wide[:, :, :1], 255.0)
    colour = np.broadcast_to(wide[:, :, : 3 if wide.shape[2] > 2 else 1], (*wide.shape[:2], 3))
    return np.concatenate([np.where(alpha < 1, 0, colour), alpha], axis=2)


def expected(path: Path, picture: Picture) -> Planes | None:
    """The samples by another reader; None where there is none."""
    data = path.read_bytes()
    try:
        if picture.bit_depth == 16:
            return _high_bit_depth(path, data, picture)
        if path.suffix.lower() in (".heic", ".heif", ".hif"):
            import pillow_heif

            image = pillow_heif.open_heif(io.BytesIO(data)).to_pillow()
            return rgba(np.asarray(image.convert("RGBA")))
        if path.suffix.lower() == ".png" and picture.alpha is not None:
            # Pillow does not scale the transparent level of shallow grey.
            import imagecodecs

            return rgba(imagecodecs.png_decode(data))
        with Image.open(io.BytesIO(data)) as image:
            if image.mode in ("CMYK", "I", "F") or image.mode.startswith("I;16"):
                return None
            return rgba(np.asarray(image.convert("RGBA")))
    except Exception:  # noqa: BLE001  the other reader may refuse for any reason
        return None


def _high_bit_depth(path: Path, data: bytes, picture: Picture) -> Planes | None:
    import imagecodecs
    import tifffile

    suffix, bits = path.suffix.lower(), 16
    if suffix in (".tif", ".tiff"):
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page: Any = file.pages[0]
            planes, bits = page.asarray(), int(page.bitspersample)
    elif suffix == ".png":
        planes = imagecodecs.png_decode(data)
    elif suffix == ".avif":
        planes, bits = imagecodecs.avif_decode(data), 12 if data[data.index(b"av1C") + 6] & 0x20 else 10
        planes = planes[0] if planes.ndim == 4 else planes
    elif suffix in (".jp2", ".j2k", ".jpf", ".jpx"):
        planes, bits = imagecodecs.jpeg2k_decode(data), 1 + (data[data.index(b"\xff\x4f\xff\x51") + 42] & 127)
    else:
        return None
    if planes.dtype != np.uint16 or planes.shape[:2] != picture.samples.shape[:2]:
        return None
    return rgba((planes.astype(np.uint32) * 65535 // (2**bits - 1)).astype(np.uint16))


def verdict(path: Path) -> tuple[str, str]:
    """What became of a file, and why."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = read_picture(path, first_frame=True)
            other = expected(path, picture)
    except VaecodecError as error:
        message = str(error).removeprefix(f"{path}: ")
        return ("refused", message) if "\n" not in message else ("wrong", "several lines")
    except Exception as error:  # noqa: BLE001  finding these is what this is for
        return "wrong", f"{type(error).__name__}: {error}"
    if other is None:
        return "not compared", "; ".join(picture.notes)
    ours = rgba(np.asarray(picture))
    for turned in (ours, ours.swapaxes(0, 1)):
        if turned.shape == other.shape:
            # Pillow turns TIFF; samples that lie another way are the same samples.
            for flipped in (turned, turned[::-1], turned[:, ::-1], turned[::-1, ::-1]):
                if np.abs(flipped - other).max() <= _LEVELS:
                    return "right", "; ".join(picture.notes)
    if ours.shape != other.shape:
        return "wrong", f"{ours.shape} where another reader has {other.shape}"
    return "wrong", f"off by {np.abs(ours - other).max():.0f}, on average {np.abs(ours - other).mean():.2f}"


def main() -> None:
    """Prints one line a file that was not read right, and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--all", action="store_true", help="print the lines of all files")
    options = parser.parse_args()
    kinds = ("right", "not compared", "refused", "wrong")
    rows = []
    for folder in options.folders:
        counts: collections.Counter[str] = collections.Counter()
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix.lower() in READABLE_EXTENSIONS | _MORE_EXTENSIONS:
                kind, why = verdict(path)
                counts[kind] += 1
                if options.all or kind in ("refused", "wrong"):
                    print(f"{kind:13} {path.relative_to(folder)}: {why}")
        rows.append(
            f"| {folder.name} | {sum(counts.values())} | " + " | ".join(str(counts[kind]) for kind in kinds) + " |"
        )
    print("\n| collection | files | " + " | ".join(kinds) + " |\n|---|" + "---:|" * (len(kinds) + 1))
    print("\n".join(rows))


if __name__ == "__main__":
    main()
