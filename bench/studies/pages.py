"""Twelve pages, screenshots, charts and maps, drawn with free fonts: what lettering and graphics cost, beside photographs.

    python bench/studies/pages.py -o pages/
    python bench/studies/pages.py --photographs -o mixed/

With ``--photographs`` five others that have some of scikit-image's on them: an article, two on a slide, a wall of them on a dark ground, one
beside text, one in a frame.
Drawn from nothing by matplotlib's fonts (DejaVu, STIX, Computer Modern), the same on every machine with the same versions of Pillow and
matplotlib. None of them is used in training.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable
from pathlib import Path

import click
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont, ImageOps
from skimage import data as pictures_of_skimage

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
WORDS = [
    "The",
    "quiet",
    "river",
    "bends",
    "below",
    "an",
    "old",
    "mill",
    "where",
    "every",
    "morning",
    "somebody",
    "opens",
    "the",
    "sluice",
    "and",
    "lets",
    "seven",
    "small",
    "boats",
    "pass",
    "towards",
    "the",
    "harbour,",
    "past",
    "gardens,",
    "warehouses",
    "and",
    "a",
    "railway",
    "bridge",
    "that",
    "carries",
    "no",
    "trains;",
    "children",
    "count",
    "the",
    "planks",
    "while",
    "their",
    "parents",
    "read",
    "yesterday's",
    "paper",
    "and",
    "argue",
    "about",
    "the",
    "price",
    "of",
    "apples,",
    "coal",
    "and",
    "paraffin.",
]


def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """One of matplotlib's fonts, by the name of its file."""
    return ImageFont.truetype(str(FONTS / f"{name}.ttf"), size)


def words(rng: np.random.Generator, count: int) -> str:
    """So many words, in another order each time."""
    return " ".join(WORDS[int(i)] for i in rng.integers(0, len(WORDS), count))


def page(rng: np.random.Generator, name: str, size: int, ground: str = "white", ink: str = "black") -> Image.Image:
    """A page of text in one font, 800 × 1000."""
    image = Image.new("RGB", (800, 1000), ground)
    draw = ImageDraw.Draw(image)
    draw.text((60, 50), words(rng, 4).title(), font=font("DejaVuSans-Bold", size + 10), fill=ink)
    face, y = font(name, size), 110.0
    while y < 930:
        paragraph = textwrap.wrap(words(rng, int(rng.integers(30, 90))), int(1230 / size))
        for line in paragraph:
            if y > 940:
                break
            draw.text((60, y), line, font=face, fill=ink)
            y += size * 1.4
        y += size * 0.8
    return image


def editor(rng: np.random.Generator) -> Image.Image:
    """Source code on a dark ground, 1000 × 700."""
    image = Image.new("RGB", (1000, 700), "#1e1f26")
    draw, face = ImageDraw.Draw(image), font("DejaVuSansMono", 14)
    colours = ("#c678dd", "#98c379", "#e5c07b", "#61afef", "#abb2bf", "#abb2bf", "#7f848e")
    draw.rectangle((0, 0, 1000, 32), fill="#16171d")
    draw.text((14, 8), "river.py    mill.py    harbour.py", font=face, fill="#abb2bf")
    for row in range(35):
        y, x = 44 + row * 18, 60.0 + 32 * int(rng.integers(0, 4))
        draw.text((14, y), f"{row + 120:4}", font=face, fill="#4b5263")
        for _ in range(int(rng.integers(0, 8))):
            token = words(rng, 1).strip(",.;") + str(rng.choice([" ", "(", ") ", " = ", ": ", "."]))
            draw.text((x, y), token, font=face, fill=str(rng.choice(colours)))
            x += draw.textlength(token, font=face)
    return image


def desktop(rng: np.random.Generator) -> Image.Image:
    """Windows with buttons, a list and a soft ground, 1024 × 768."""
    t = np.linspace(0, 1, 1024)
    ground = np.stack([60 + 60 * t, 110 + 50 * t, 160 - 30 * t], 1)[None] * np.linspace(1, 0.7, 768)[:, None, None]
    image = Image.fromarray(ground.astype(np.uint8))
    draw, face, bold = ImageDraw.Draw(image), font("DejaVuSans", 13), font("DejaVuSans-Bold", 13)
    for left, top, right, bottom in ((60, 60, 620, 520), (420, 240, 960, 700)):
        draw.rounded_rectangle((left, top, right, bottom), 8, fill="#f4f4f6", outline="#8a8a90")
        draw.rectangle((left + 1, top + 8, right - 1, top + 34), fill="#dcdce2")
        draw.text((left + 16, top + 12), words(rng, 3).title(), font=bold, fill="#202024")
        for i, colour in enumerate(("#ff5f57", "#febc2e", "#28c840")):
            draw.ellipse((right - 26 - 20 * i, top + 14, right - 14 - 20 * i, top + 26), fill=colour)
        for row in range(int((bottom - top - 110) / 24)):
            y = top + 48 + 24 * row
            if row % 2:
                draw.rectangle((left + 12, y - 3, right - 12, y + 20), fill="#e9e9ef")
            if row == 4:
                draw.rectangle((left + 12, y - 3, right - 12, y + 20), fill="#2f6fde")
            draw.text((left + 20, y), words(rng, 5), font=face, fill="white" if row == 4 else "#202024")
        for i, label in enumerate(("Cancel", "Open")):
            x = right - 200 + 96 * i
            draw.rounded_rectangle(
                (x, bottom - 42, x + 84, bottom - 14), 6, fill="#2f6fde" if i else "#e2e2e8", outline="#9a9aa4"
            )
            draw.text((x + 20, bottom - 36), label, font=face, fill="white" if i else "#202024")
    return image


def spreadsheet(rng: np.random.Generator) -> Image.Image:
    """A table of numbers, 900 × 640."""
    image = Image.new("RGB", (900, 640), "white")
    draw, face = ImageDraw.Draw(image), font("DejaVuSans", 12)
    draw.rectangle((0, 0, 900, 24), fill="#e6f2ea")
    for column in range(10):
        draw.line((column * 90, 0, column * 90, 640), fill="#d0d0d0")
        draw.text((column * 90 + 8, 5), words(rng, 1).strip(",.;")[:9], font=face, fill="#1d5c38")
    for row in range(1, 27):
        draw.line((0, row * 24, 900, row * 24), fill="#d0d0d0")
        for column in range(10):
            value = rng.normal(0, 10 ** rng.uniform(0, 5))
            draw.text(
                (column * 90 + 84, row * 24 + 5),
                f"{value:,.2f}"[:11],
                font=face,
                fill="#b00020" if value < 0 else "black",
                anchor="ra",
            )
    return image


def figure(draw: Callable[[Figure, np.random.Generator], None], rng: np.random.Generator) -> Image.Image:
    """A chart as matplotlib draws it, 800 × 600."""
    canvas = Figure(figsize=(8, 6), dpi=100)
    draw(canvas, rng)
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png")
    with Image.open(buffer) as image:
        shown: Image.Image = image.convert("RGB")
    return shown


def lines(canvas: Figure, rng: np.random.Generator) -> None:
    """Five curves with a legend and a grid."""
    axes = canvas.subplots()
    for name in ("mill", "bridge", "harbour", "garden", "railway"):
        axes.plot(np.cumsum(rng.normal(0, 1, 120)), label=name)
    axes.set(title="Boats that pass, by day", xlabel="day of the year", ylabel="boats")
    axes.grid(True)
    axes.legend()


def bars(canvas: Figure, rng: np.random.Generator) -> None:
    """Four panels: bars, stacked bars, a pie and points."""
    (a, b), (c, d) = canvas.subplots(2, 2)
    a.bar([w[:5] for w in WORDS[:7]], rng.uniform(1, 9, 7), color="#3b75af")
    bottom = np.zeros(7)
    for colour in ("#ef8636", "#519d3e", "#c53a32"):
        height = rng.uniform(1, 4, 7)
        b.bar(range(7), height, bottom=bottom, color=colour)
        bottom += height
    c.pie(rng.uniform(1, 5, 6), labels=[w[:6] for w in WORDS[8:14]], autopct="%1.0f%%")
    d.scatter(rng.normal(0, 1, 300), rng.normal(0, 1, 300), s=8, c=rng.uniform(0, 1, 300), cmap="viridis")
    d.set(xlabel="before", ylabel="after")
    canvas.tight_layout()


def heat(canvas: Figure, rng: np.random.Generator) -> None:
    """A table of colours with numbers in its cells."""
    axes = canvas.subplots()
    values = rng.uniform(0, 1, (12, 12))
    shown = axes.imshow(values, cmap="magma")
    for (row, column), value in np.ndenumerate(values):
        axes.text(
            column, row, f"{value:.2f}", ha="center", va="center", color="white" if value < 0.6 else "black", fontsize=8
        )
    axes.set(title="Correlation of prices")
    canvas.colorbar(shown)


def town(rng: np.random.Generator) -> Image.Image:
    """A street map with names, 1000 × 800."""
    image = Image.new("RGB", (2000, 1600), "#f2efe9")
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = rng.uniform(0, 2000), rng.uniform(0, 1600)
        corners = [(x + rng.uniform(-140, 140), y + rng.uniform(-110, 110)) for _ in range(5)]
        draw.polygon(corners, fill=str(rng.choice(["#c8e6b0", "#dfe8cf", "#e8e0d0", "#d9d0c9"])))
    river = [(float(x), 800 + 260 * np.sin(x / 330) + 60 * np.sin(x / 90)) for x in range(-50, 2100, 20)]
    draw.line(river, fill="#a6cbe3", width=90, joint="curve")
    for width, colour in ((26, "#c9b18a"), (20, "#fbe6a2")):
        state = np.random.default_rng(5)
        for _ in range(9):
            a, b = state.uniform(-100, 2100, 2), state.uniform(-100, 1700, 2)
            draw.line((a[0], b[0], a[1], b[1]), fill=colour, width=width)
    for _ in range(70):
        x, y = rng.uniform(0, 2000), rng.uniform(0, 1600)
        dx, dy = rng.uniform(-400, 400), rng.uniform(-400, 400)
        draw.line((x, y, x + dx, y + dy), fill="white", width=9)
    image = image.resize((1000, 800), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(image)
    for _ in range(45):
        x, y = rng.uniform(0, 940), rng.uniform(0, 780)
        label, face = (
            words(rng, 2).strip(",.;").title(),
            font(str(rng.choice(["DejaVuSans", "DejaVuSans-Bold"])), int(rng.integers(9, 15))),
        )
        draw.text((x, y), label, font=face, fill="#333333", stroke_width=2, stroke_fill="#f7f5f1")
    return image


def slide(rng: np.random.Generator) -> Image.Image:
    """A slide: large letters, a list, a diagram, 1024 × 576."""
    image = Image.new("RGB", (1024, 576), "#fdfdfd")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 1024, 90), fill="#14375e")
    draw.text((48, 22), "Why the sluice opens at seven", font=font("DejaVuSans-Bold", 34), fill="white")
    for i in range(5):
        draw.ellipse((54, 139 + 66 * i, 66, 151 + 66 * i), fill="#d97b29")
        draw.text((84, 128 + 66 * i), words(rng, 5), font=font("DejaVuSans", 22), fill="#222222")
    for i in range(3):
        x, y = 640 + 60 * i, 150 + 120 * i
        draw.rounded_rectangle(
            (x, y, x + 210, y + 70), 12, fill=("#cfe3f7", "#d8f0d3", "#fbe3c8")[i], outline="#14375e", width=3
        )
        draw.text(
            (x + 105, y + 35), words(rng, 1).strip(",.;"), font=font("DejaVuSans", 20), fill="#14375e", anchor="mm"
        )
        if i:
            draw.line((x + 40, y - 50, x + 40, y), fill="#14375e", width=3)
    return image


def photograph(name: str, width: int, height: int) -> Image.Image:
    """One of scikit-image's, cut to a shape and scaled."""
    image = Image.fromarray(getattr(pictures_of_skimage, name)())
    return ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS)


def article(rng: np.random.Generator) -> Image.Image:
    """A page of a website: a bar, a photograph, columns of text, a small photograph, 1000 × 900."""
    image = Image.new("RGB", (1000, 900), "#f6f7f9")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 1000, 56), fill="#26468c")
    draw.text((30, 13), words(rng, 3).title(), font=font("DejaVuSans-Bold", 22), fill="white")
    image.paste(photograph("astronaut", 600, 400), (40, 90))
    image.paste(photograph("coffee", 270, 180), (690, 90))
    for left, top, width in ((40, 510, 75), (690, 290, 33)):
        for row, line in enumerate(textwrap.wrap(words(rng, 320), width)[: (860 - top) // 21]):
            draw.text((left, top + 21 * row), line, font=font("DejaVuSans", 14), fill="#1c1e21")
    return image


def presentation(rng: np.random.Generator) -> Image.Image:
    """A slide with two photographs and their captions, 1280 × 720."""
    image = Image.new("RGB", (1280, 720), "white")
    draw = ImageDraw.Draw(image)
    draw.text((60, 40), words(rng, 5).title(), font=font("DejaVuSans-Bold", 40), fill="#143c78")
    for i, name in enumerate(("coffee", "rocket")):
        image.paste(photograph(name, 540, 400), (60 + 620 * i, 130))
        for row, line in enumerate(textwrap.wrap(words(rng, 30), 44)[:4]):
            draw.text((60 + 620 * i, 550 + 32 * row), line, font=font("DejaVuSans", 22), fill="#222222")
    return image


def wall(rng: np.random.Generator) -> Image.Image:
    """Photographs with names under them on a dark ground, 1280 × 800."""
    image = Image.new("RGB", (1280, 800), "#202124")
    draw = ImageDraw.Draw(image)
    draw.text((16, 12), words(rng, 3), font=font("DejaVuSans", 15), fill="#e8eaed")
    for i, name in enumerate(("astronaut", "coffee", "chelsea", "rocket", "coffee", "chelsea", "astronaut", "rocket")):
        x, y = 16 + 316 * (i % 4), 50 + 370 * (i // 4)
        image.paste(photograph(name, 300, 330), (x, y))
        draw.text((x, y + 334), words(rng, 2), font=font("DejaVuSans", 12), fill="#bdc1c6")
    return image


def beside(rng: np.random.Generator) -> Image.Image:
    """A photograph beside text, 1000 × 400."""
    image = Image.new("RGB", (1000, 400), "white")
    image.paste(photograph("chelsea", 500, 400), (0, 0))
    for row, line in enumerate(textwrap.wrap(words(rng, 200), 60)[:18]):
        ImageDraw.Draw(image).text((516, 10 + 21 * row), line, font=font("DejaVuSerif", 14), fill="black")
    return image


def framed(_: np.random.Generator) -> Image.Image:
    """A photograph in a black frame, 900 × 700."""
    image = Image.new("RGB", (900, 700))
    image.paste(photograph("chelsea", 600, 400), (150, 150))
    return image


PAGES: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "page-serif": lambda r: page(r, "DejaVuSerif", 16),
    "page-sans-small": lambda r: page(r, "DejaVuSans", 12),
    "page-roman-cream": lambda r: page(r, "cmr10", 19, "#fbf3e0", "#2b2218"),
    "page-dark": lambda r: page(r, "STIXGeneral", 18, "#202225", "#dcddde"),
    "editor": editor,
    "desktop": desktop,
    "spreadsheet": spreadsheet,
    "chart-lines": lambda r: figure(lines, r),
    "chart-panels": lambda r: figure(bars, r),
    "chart-heat": lambda r: figure(heat, r),
    "map": town,
    "slide": slide,
}
"""By name: what is drawn."""


WITH_PHOTOGRAPHS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "article": article,
    "presentation": presentation,
    "wall": wall,
    "beside": beside,
    "framed": framed,
}


def draw_pages(photographs: bool = False) -> dict[str, Image.Image]:
    """All twelve, or those with photographs, by name."""
    pages = WITH_PHOTOGRAPHS if photographs else PAGES
    return {name: draw(np.random.default_rng(i)) for i, (name, draw) in enumerate(pages.items())}


@click.command(help=(__doc__ or "").split("\n")[0])
@click.option(
    "-o", "--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for PNG files."
)
@click.option("--photographs", is_flag=True, help="Pages with photographs on them.")
def main(out: Path, photographs: bool) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for name, image in draw_pages(photographs).items():
        image.save(out / f"{name}.png")
        click.echo(f"{name}: {image.width} x {image.height}")


if __name__ == "__main__":
    main()
