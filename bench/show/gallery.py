"""Fills the site's gallery: parts of pictures as the original, JPEG, AVIF and ours at equal bytes, for its slider.

    python -m bench.show.gallery KODAK [--page docs/gallery.md] [--pictures docs/pictures/gallery]

::

    EXHIBITS ─► demo.at_equal_bytes ─► NAME-original.webp, NAME-jpeg.webp … ─► figures and tables between the page's marks

JPEG and ours take no more bytes than AVIF; bytes and scores are of the whole picture. What is shown is stored without loss.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from bench.show.markdown import markdown_table
from bench.show.readme_results import ROOT, with_block
from vaecodec.api import DEFAULT_MODEL, Codec
from vaecodec.atomic import write_atomically
from vaecodec.demo import CodedPicture, at_equal_bytes
from vaecodec.errors import VaecodecError
from vaecodec.metrics.fidelity import Samples
from vaecodec.picture import read_picture

SIDES = (320, 240)
"""Width and height of what is shown: large enough to see, and a handful in four versions stays near a megabyte."""


@dataclass(frozen=True)
class Exhibit:
    """One part of one picture.

    Attributes:
        title: heading of it on the page.
        picture: name of the file in the folder.
        left: first column shown.
        top: first row shown.
        avif: AVIF's quality, whose bytes the others get.
        why: one sentence for the page.
    """

    title: str
    picture: str
    left: int
    top: int
    avif: float
    why: str

    @property
    def name(self) -> str:
        """What its files are called by."""
        return f"{Path(self.picture).stem}-{self.avif:.0f}"


EXHIBITS = (
    Exhibit("A parrot", "kodim23.png", 320, 136, 45, "Look at the feathers on the neck, and at the skin round the eye."),
    Exhibit("A straw hat", "kodim04.png", 192, 0, 45, "Look at the weave of the crown, and at the hair."),
    Exhibit("A painted house", "kodim24.png", 0, 272, 45, "Look at the leaves, and at the painting on the wall."),
    Exhibit(
        "A fence, at few bytes", "kodim19.png", 192, 408, 25,
        "Here it is not all one way: vaecodec keeps more of the grass, AVIF more of the small sign and of the fence's end.",
    ),
    Exhibit(
        "A propeller, where AVIF is ahead", "kodim20.png", 128, 0, 25,
        "The whole picture scores higher with vaecodec. In this part of it AVIF is nearer: smooth sky, a clean edge.",
    ),
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.show.gallery", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="KODAK", help="folder of the pictures")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "gallery.md", help="page with marks [%(default)s]")
    parser.add_argument(
        "--pictures", type=Path, default=ROOT / "docs" / "pictures" / "gallery", help="for the parts [%(default)s]"
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="[%(default)s]")
    options = parser.parse_args(arguments)
    fill(options.page, options.pictures, options.folder, EXHIBITS, Codec(options.model))
    return 0


def fill(page: Path, pictures: Path, folder: Path, exhibits: Sequence[Exhibit], codec: Codec) -> None:
    """Writes the parts, and the page's text between its marks.

    Args:
        page: Markdown with the marks ``<!-- gallery:begin -->`` and ``<!-- gallery:end -->``.
        pictures: folder for the parts, made if need be; other parts that lie in it are removed.
        folder: of the whole pictures.
        exhibits: what is shown, in this order.
        codec: ours.

    Raises:
        PictureNotFoundError: a picture is missing.
        UsageError: the page has no marks.
    """
    pictures.mkdir(parents=True, exist_ok=True)
    stale = set(pictures.glob("*.webp"))
    parts = []
    for done, exhibit in enumerate(exhibits):
        print(f"{done + 1} of {len(exhibits)}: {exhibit.picture}", file=sys.stderr)
        original = read_picture(folder / exhibit.picture).samples
        coded = at_equal_bytes(codec, original, exhibit.avif)
        shown = {"original": original} | {one.codec: one.samples for one in coded}
        files = {name: pictures / f"{exhibit.name}-{name.lower()}.webp" for name in shown}
        for name, samples in shown.items():
            write_atomically(files[name], _without_loss(_part(samples, exhibit)), overwrite=True)
        stale -= set(files.values())
        parts.append(_described(exhibit, original, coded, files, page))
    for path in stale:
        path.unlink()
    note = f"Weights {codec.model.id_hex}. AVIF is Pillow's at speed 6, 4:4:4; JPEG is 4:2:0."
    text = with_block(page.read_text(encoding="utf-8"), "gallery", "\n\n".join([*parts, note]))
    page.write_text(text, encoding="utf-8")


def _part(samples: Samples, exhibit: Exhibit) -> Samples:
    width, height = SIDES
    return samples[exhibit.top : exhibit.top + height, exhibit.left : exhibit.left + width]


def _without_loss(samples: Samples) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(samples).save(buffer, "WEBP", lossless=True, quality=100, method=6)
    return buffer.getvalue()


def _described(
    exhibit: Exhibit, original: Samples, coded: Sequence[CodedPicture], files: dict[str, Path], page: Path
) -> str:
    """Heading, pictures and table of one exhibit. Without a script the pictures stand side by side."""
    images = []
    for name, path in files.items():
        height, width = _part(original, exhibit).shape[:2]
        address = Path(os.path.relpath(path, page.parent)).as_posix()
        images.append(f'<img src="{address}" alt="{name}" width="{width}" height="{height}" loading="lazy">')
    rows = [
        [
            f"{one.codec}, quality {one.quality:.0f}",
            f"{len(one.data):,}",
            f"{one.bpp:.2f}",
            None if one.ssimulacra2 is None else f"{one.ssimulacra2:.1f}",
            f"{one.psnr:.1f}",
        ]
        for one in coded
    ]
    height, width = original.shape[:2]
    return "\n\n".join(
        [
            f"## {exhibit.title}",
            f"{exhibit.why} Kodak's `{exhibit.picture}`, {width}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{height}.",
            '<div class="compare">\n' + "\n".join(images) + "\n</div>",
            markdown_table(["codec", "bytes", "bpp", "SSIMULACRA2", "PSNR, dB"], rows),
        ]
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VaecodecError as error:
        sys.exit(f"bench.show.gallery: {error}")
