from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from vaecodec.bitstream.tables import FrozenTables
from vaecodec.errors import DamagedWeightsError, VaecodecError, WeightsNotFoundError
from vaecodec.models.exact_image import build_layers
from vaecodec.models.weights import Weights, load_weights, save_weights


def test_weights_survive_the_file(tiny_weights: Weights, tmp_path: Path) -> None:
    path = tmp_path / "again.safetensors"
    save_weights(tiny_weights, path)
    again = load_weights(path)
    assert again.model_id() == tiny_weights.model_id()
    assert again.settings == tiny_weights.settings
    assert dict(again.card) == {"made": "in a test"}
    assert all(np.array_equal(again.encoder[name], value) for name, value in tiny_weights.encoder.items())
    assert [p.name for p in tmp_path.iterdir()] == ["again.safetensors"]


def test_the_id_names_the_decoding_half_alone(tiny_weights: Weights) -> None:
    retrained = dataclasses.replace(tiny_weights, encoder={n: v + 1 for n, v in tiny_weights.encoder.items()})
    assert retrained.model_id() == tiny_weights.model_id()
    counts = tiny_weights.counts.copy()
    counts[0] += 1
    assert dataclasses.replace(tiny_weights, counts=counts).model_id() != tiny_weights.model_id()
    deeper = dataclasses.replace(tiny_weights.settings, analysis_blocks8=3)
    data = dataclasses.replace(tiny_weights.data, settings=deeper)
    assert dataclasses.replace(tiny_weights, data=data).model_id() == tiny_weights.model_id()


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match="no weights file"):
        load_weights(tmp_path / "none.safetensors")


def test_foreign_and_mutated_weights_end_in_an_error(tiny_weights: Weights, tmp_path: Path) -> None:
    path = tmp_path / "mutated.safetensors"
    path.write_bytes(b"not safetensors at all")
    with pytest.raises(DamagedWeightsError):
        load_weights(path)
    save_weights(tiny_weights, path)
    good = path.read_bytes()
    rng = random.Random(8)
    encoder_only = 0
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(rng.choice([1, 3])):
            bad[rng.randrange(len(bad)) if rng.random() < 0.5 else rng.randrange(4000)] = rng.randrange(256)
        if rng.random() < 0.1:
            bad = bad[: rng.randrange(len(bad))]
        path.write_bytes(bytes(bad))
        try:
            weights = load_weights(path)
            FrozenTables.from_arrays(weights.half_widths, weights.counts)
            build_layers(weights.data, torch.device("cpu"))
        except VaecodecError as error:
            assert "\n" not in str(error)
        else:
            # The id covers the decoding half; the encoder and the card may differ.
            assert weights.model_id() == tiny_weights.model_id()
            encoder_only += 1
    assert encoder_only < 200
