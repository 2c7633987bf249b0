from __future__ import annotations

import numpy as np
import pytest

from vaecodec.api import Codec


@pytest.fixture(scope="session")
def codec() -> Codec:
    """The shipped weights."""
    return Codec()


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    """A real photograph, uint8 [512, 512, 3], from scikit-image's wheel."""
    from skimage import data

    return data.astronaut()
