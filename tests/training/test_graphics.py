from __future__ import annotations

import torch

from vaecodec.training import graphics
from vaecodec.training.graphics import draw_graphics


def test_what_is_drawn_depends_on_the_generator_alone() -> None:
    one, other = (draw_graphics(128, torch.Generator().manual_seed(5)) for _ in range(2))
    assert one.dtype == torch.uint8 and one.shape == (128, 128, 3)
    assert torch.equal(one, other)


def test_drawings_are_many_and_not_empty() -> None:
    generator = torch.Generator().manual_seed(1)
    drawn = [draw_graphics(64, generator) for _ in range(40)]
    assert len({d.numpy().tobytes() for d in drawn}) == 40
    assert sum(len(d.flatten(0, 1).unique(dim=0)) > 1 for d in drawn) > 35


def test_without_fonts_pillows_own_serves(monkeypatch) -> None:
    monkeypatch.setattr(graphics, "font_files", lambda: ())
    generator = torch.Generator().manual_seed(2)
    assert all(draw_graphics(64, generator).shape == (64, 64, 3) for _ in range(10))
