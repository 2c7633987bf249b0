"""Draws a part of a picture as the original, JPEG, AVIF and ours at equal bytes: the picture of README and site.

    python -m bench.show.equal_bytes KODAK/kodim23.png [--avif 40] [--crop 130,100,220,220] [-o docs/pictures/equal-bytes.png]

JPEG and ours take no more bytes than AVIF; bytes and scores are of the whole picture.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.show.readme_results import ROOT
from vaecodec.api import DEFAULT_MODEL, Codec
from vaecodec.demo import at_equal_bytes, sheet_of, table_of
from vaecodec.errors import VaecodecError
from vaecodec.picture import Picture, read_picture, write_picture


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.show.equal_bytes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("picture", type=Path, help="the picture")
    parser.add_argument(
        "--avif", type=float, default=40, help="quality of AVIF, whose bytes ours and JPEG get [%(default)g]"
    )
    parser.add_argument("--crop", default="130,100,220,220", help="left, top, width, height shown [%(default)s]")
    parser.add_argument("--zoom", type=int, default=1, help="pixels of the sheet for one of the picture [%(default)d]")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="[%(default)s]")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "pictures" / "equal-bytes.png")
    options = parser.parse_args(arguments)
    left, top, width, height = map(int, options.crop.split(","))
    original = read_picture(options.picture).samples
    coded = [at_equal_bytes(Codec(options.model), original, options.avif)]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    sheet = sheet_of(original, coded, (left, top, width, height), options.zoom)
    write_picture(Picture(sheet), options.output, overwrite=True)
    print(table_of(coded))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VaecodecError as error:
        sys.exit(f"bench.show.equal_bytes: {error}")
