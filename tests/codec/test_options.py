"""What may be asked of a file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vaecodec.codec.options import Access, EncodeOptions, Tiling
from vaecodec.codec.rate_control import MEASURES
from vaecodec.errors import UsageError


def test_a_target_is_given_by_its_name() -> None:
    assert EncodeOptions().changed(psnr=40, effort=None) == EncodeOptions(target={"psnr": 40})
    for name in MEASURES:
        assert EncodeOptions().changed(**{name: 1}).target == {name: 1}


@pytest.mark.parametrize(
    "given", [{"quality": 5, "psnr": 30}, {"size": 5, "bpp": 30}, {"quality": -1}, {"effort": 10}, {"effort": 0.5}]
)
def test_what_makes_no_sense_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        EncodeOptions().changed(**given)


def test_what_there_is_no_option_for_is_an_error_of_the_caller() -> None:
    with pytest.raises(TypeError):
        EncodeOptions().changed(colour=1)


def test_the_first_model_that_is_named_encodes() -> None:
    assert (Access().model, Access(models=("a", "b")).model) == ("eye", "a")


def test_small_pictures_are_one_tile() -> None:
    tiling = Tiling()
    assert [tiling.exponent_for(1000, side) for side in (2000, 2001)] == [0, 10]
    assert [tiling.screen_exponent_for(10, side) for side in (256, 257)] == [0, 8]


@pytest.mark.parametrize("given", [{"limit": "20MP"}, {"quality": np.array([1, 2])}, {"target": {"psnr": "36"}}])
def test_what_is_no_number_is_named(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="is not a number"):
        EncodeOptions(**given)
