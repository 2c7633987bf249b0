"""Where tiles lie."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vaecodec.bitstream.container import tile_count
from vaecodec.codec.rectangle import Grid, Rectangle, tile_grid


@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from([0, 6, 7, 8]))
def test_the_grid_covers_every_pixel_once_in_raster_order(width: int, height: int, exponent: int) -> None:
    grid = tile_grid(width, height, exponent)
    assert len(grid) == tile_count(width, height, exponent)
    assert sum(tile.width * tile.height for tile in grid) == width * height
    assert [(tile.top, tile.left) for tile in grid] == sorted({(tile.top, tile.left) for tile in grid})
    for tile in grid:
        assert tile.left + tile.width <= width
        assert tile.top + tile.height <= height
        assert exponent == 0 or (tile.left % 2**exponent == 0 and 0 < tile.width <= 2**exponent)
        assert exponent == 0 or (tile.top % 2**exponent == 0 and 0 < tile.height <= 2**exponent)


@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from([0, 6, 7, 8]), st.integers(0, 9))
def test_the_rows_of_tiles_under_a_window_are_those_that_it_meets(
    width: int, height: int, exponent: int, halo: int
) -> None:
    grid = Grid(width, height, exponent)
    for row in grid.rows:
        window = grid.band(row).cells().grown(halo, grid.frame.cells())
        assert list(grid.rows_under(window)) == [n for n in grid.rows if grid.band(n).cells().meets(window)]


def test_what_meets_lies_in_both() -> None:
    a, b = Rectangle(0, 0, 10, 5), Rectangle(8, 3, 10, 10)
    assert a.meets(b) == b.meets(a) == (8, 3, 2, 2)
    assert a.meets(Rectangle(10, 0, 1, 1)) is None
    assert a.meets(b).within(b) == (slice(0, 2), slice(0, 2))  # type: ignore[union-attr]
