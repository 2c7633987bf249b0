"""Lettering and graphics drawn at random, mixed into the training: pages, screens, charts and maps are rare among photographs."""

from __future__ import annotations

import string
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

FONT_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/Library/Fonts",
    "/System/Library/Fonts",
    "C:/Windows/Fonts",
)
MOST_FONTS = 400
LETTERS = string.ascii_lowercase * 6 + string.ascii_uppercase + string.digits + ".,;:!?()-+=/%&@#*'\""


@lru_cache(maxsize=1)
def font_files() -> tuple[str, ...]:
    """Outline fonts that draw Latin letters, by name; may be empty, then Pillow's own font serves."""
    found = []
    for folder in map(Path, FONT_FOLDERS):
        if folder.is_dir():
            found += [p for p in folder.rglob("*") if p.suffix.lower() in (".ttf", ".otf")]
    usable = []
    for path in sorted(found)[:: max(1, len(found) // MOST_FONTS)]:
        try:
            font = ImageFont.truetype(str(path), 20)
            if font.getlength("Hamburg") > 30 and font.getmask("A").getbbox() != font.getmask("g").getbbox():
                usable.append(str(path))
        except OSError:
            continue
    return tuple(usable)


def draw_graphics(size: int, generator: torch.Generator) -> Tensor:
    """A crop of something drawn: text on a ground, shapes with sharp edges, thin lines, gradients; uint8 [size, size, 3].

    Every random number comes from ``generator``.
    """
    r = np.random.default_rng(int(torch.randint(2**62, (), generator=generator)))
    image = Image.new("RGB", (size, size), _ground(r))
    if r.random() < 0.25:
        image = Image.fromarray(_gradient(size, r))
    draw = ImageDraw.Draw(image)
    for _ in range(int(r.integers(0, 4)) if r.random() < 0.6 else int(r.integers(4, 24))):
        _shape(draw, size, r)
    kind = r.random()
    if kind < 0.65:
        _paragraph(draw, size, r)
    elif kind < 0.8:
        for _ in range(int(r.integers(1, 12))):
            _label(draw, size, r)
    elif kind < 0.9:
        _chart(draw, size, r)
    samples = np.asarray(image)
    if r.random() < 0.1:
        noise = r.normal(0, r.uniform(0.5, 4), samples.shape)
        samples = np.clip(np.rint(samples + noise), 0, 255).astype(np.uint8)
    return torch.from_numpy(samples.copy())


def _ground(r: np.random.Generator) -> tuple[int, int, int]:
    kind = r.random()
    if kind < 0.35:
        return (255, 255, 255)
    if kind < 0.5:
        v = int(r.integers(0, 256))
        return (v, v, v)
    if kind < 0.75:
        a, b, c = (int(v) for v in r.integers(215, 256, 3))
        return (a, b, c)
    if kind < 0.85:
        a, b, c = (int(v) for v in r.integers(0, 60, 3))
        return (a, b, c)
    return _colour(r)


def _colour(r: np.random.Generator) -> tuple[int, int, int]:
    if r.random() < 0.3:
        v = int(r.integers(0, 256))
        return (v, v, v)
    a, b, c = (int(v) for v in r.integers(0, 256, 3))
    return (a, b, c)


def _ink(r: np.random.Generator, ground: tuple[int, ...]) -> tuple[int, int, int]:
    """A colour that can be read on ``ground``."""
    dark = sum(ground) > 380
    if r.random() < 0.5:
        v = int(r.integers(0, 90))
        return (v, v, v) if dark else (255 - v, 255 - v, 255 - v)
    for _ in range(20):
        colour = _colour(r)
        if abs(sum(colour) - sum(ground)) > 150:
            return colour
    return (0, 0, 0) if dark else (255, 255, 255)


def _gradient(size: int, r: np.random.Generator) -> npt.NDArray[np.uint8]:
    angle, t = r.uniform(0, 2 * np.pi), np.linspace(-1, 1, size)
    ramp = np.clip(0.5 + 0.5 * r.uniform(0.3, 1) * (np.cos(angle) * t[:, None] + np.sin(angle) * t[None]), 0, 1)
    if r.random() < 0.3:
        ramp = np.clip(np.hypot(t[:, None] - r.uniform(-1, 1), t[None] - r.uniform(-1, 1)) * r.uniform(0.3, 1), 0, 1)
    a, b = np.array(_colour(r)), np.array(_colour(r))
    return np.asarray(np.rint(a + ramp[..., None] * (b - a)).astype(np.uint8))


def _font(r: np.random.Generator, points: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    files = font_files()
    if not files or r.random() < 0.05:
        return ImageFont.load_default(points)
    return ImageFont.truetype(files[int(r.integers(len(files)))], points)


def _word(r: np.random.Generator) -> str:
    return "".join(LETTERS[int(i)] for i in r.integers(0, len(LETTERS), int(r.integers(1, 11))))


def _paragraph(draw: ImageDraw.ImageDraw, size: int, r: np.random.Generator) -> None:
    points = float(np.exp(r.uniform(np.log(8), np.log(40))))
    font = _font(r, points)
    ink = _ink(r, draw.im.getpixel((size // 2, size // 2)))
    left, y = r.uniform(-20, 30), r.uniform(-points, points)
    spacing = points * r.uniform(1.05, 1.7)
    while y < size:
        x = left
        while x < size and r.random() > 0.03:
            word = _word(r)
            draw.text((x, y), word, font=font, fill=ink if r.random() > 0.04 else _colour(r))
            x += font.getlength(word + " ")
        y += spacing


def _label(draw: ImageDraw.ImageDraw, size: int, r: np.random.Generator) -> None:
    x, y = (float(v) for v in r.uniform(-20, size, 2))
    ground = draw.im.getpixel((min(max(int(x), 0), size - 1), min(max(int(y), 0), size - 1)))
    draw.text((x, y), " ".join(_word(r) for _ in range(int(r.integers(1, 4)))),
              font=_font(r, float(np.exp(r.uniform(np.log(9), np.log(90))))), fill=_ink(r, ground))  # fmt: skip


def _shape(draw: ImageDraw.ImageDraw, size: int, r: np.random.Generator) -> None:
    a, b = r.uniform(-0.2 * size, 1.2 * size, 2), r.uniform(-0.2 * size, 1.2 * size, 2)
    if r.random() < 0.5:
        b = a + r.uniform(4, size / 3, 2)
    box = (*np.minimum(a, b), *np.maximum(a, b))
    width, kind = int(r.integers(1, 5)), r.random()
    fill = _colour(r) if r.random() < 0.6 else None
    if kind < 0.3:
        draw.line((*a, *b), fill=_colour(r), width=width)
    elif kind < 0.55:
        draw.rectangle(box, fill=fill, outline=_colour(r), width=width)
    elif kind < 0.7:
        # Pillow draws none whose straight parts come out empty.
        whole = (*np.floor(box[:2]), *np.ceil(box[2:]))
        radius = min(r.uniform(2, 16), (whole[2] - whole[0] - 2) / 2, (whole[3] - whole[1] - 2) / 2)
        draw.rounded_rectangle(whole, radius=max(radius, 0), fill=fill, outline=_colour(r), width=width)
    elif kind < 0.85:
        draw.ellipse(box, fill=fill, outline=_colour(r), width=width)
    else:
        corners = [tuple(v) for v in r.uniform(0, size, (int(r.integers(3, 7)), 2))]
        draw.polygon(corners, fill=fill or _colour(r))


def _chart(draw: ImageDraw.ImageDraw, size: int, r: np.random.Generator) -> None:
    step, grey = int(r.integers(8, 64)), int(r.integers(120, 235))
    for v in range(int(r.integers(step)), size, step):
        draw.line((0, v, size, v), fill=(grey, grey, grey))
        if r.random() < 0.5:
            draw.line((v, 0, v, size), fill=(grey, grey, grey))
    for _ in range(int(r.integers(1, 5))):
        y = np.clip(np.cumsum(r.normal(0, size / 20, size // 4 + 2)) + r.uniform(0, size), 0, size)
        draw.line([(4 * i, float(v)) for i, v in enumerate(y)], fill=_colour(r), width=int(r.integers(1, 4)))
    for _ in range(int(r.integers(0, 8))):
        _label(draw, size, r)
