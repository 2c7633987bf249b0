from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vaecodec.api import Codec

sys.path.insert(0, str(Path(__file__).parent))

from decode import MODELS, model_of


@pytest.fixture(scope="session")
def codecs() -> dict[str, Codec]:
    return {model: Codec(model) for model in MODELS}


@pytest.fixture
def codec(codecs: dict[str, Codec], request: pytest.FixtureRequest) -> Codec:
    """The codec of the golden file that a test is about."""
    name = request.node.callspec.params["name"] if hasattr(request.node, "callspec") else "photograph"
    return codecs[model_of(name)]
