"""The order of the four steps."""

from __future__ import annotations

import numpy as np

from vaecodec.exact.steps import put_planes, take_step


def test_four_steps_put_together_give_every_latent_back() -> None:
    for shape in ((1, 1, 8), (5, 6, 4), (8, 3, 12)):
        y = np.arange(np.prod(shape)).reshape(shape)
        again = np.full_like(y, -1)
        for k in range(4):
            put_planes(again, k, take_step(y, k))
        assert np.array_equal(again, y)


def test_each_step_codes_another_group_at_a_position_and_the_diagonal_neighbour_comes_second() -> None:
    groups = np.broadcast_to(np.arange(4), (2, 2, 4))
    assert [take_step(groups, k)[0].tolist() for k in range(4)] == [
        [[0, 1], [2, 3]], [[3, 2], [1, 0]], [[1, 0], [3, 2]], [[2, 3], [0, 1]]
    ]  # fmt: skip
