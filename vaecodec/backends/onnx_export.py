"""The decoding half of a model as a folder of files for other programs: ONNX graphs, tables, and what connects them.

``docs/onnx.md`` says what is in the files.
"""

from __future__ import annotations

import json

import numpy as np
import safetensors.numpy

from vaecodec.backends.onnx_graphs import OPSET, SYNTHESIS_DEEP, GraphWriter
from vaecodec.models.decoder_data import synthesis_halo
from vaecodec.models.weights import Weights

FORMAT = "vaecodec-onnx-1"
CONFIGURATION = "decoder.json"
TABLES = "tables.safetensors"
TABLES_AT_QUALITY = ("hyper_index", "prior_vector", "mean_factor", "index_offset", "latent_factor", "feature_factor")


def exported_files(weights: Weights) -> dict[str, bytes]:
    """Name and content of every file: six graphs, a seventh where the model has samples of 16 bits, ``decoder.json`` and ``tables.safetensors``.

    Raises:
        DamagedWeightsError: the weights cannot be computed exactly.
    """
    writer = GraphWriter(weights.data)
    graphs = writer.graphs()
    if writer.has_deep_samples:
        graphs[SYNTHESIS_DEEP] = writer.synthesis_deep()
    settings = json.loads(weights.decoder_config())["settings"]
    configuration = {
        "format": FORMAT,
        "model_id": weights.model_id().hex(),
        "opset": OPSET,
        "halo": synthesis_halo(weights.settings),
        "settings": settings,
        "graphs": {name: f"{name}.onnx" for name in graphs},
        "tables": TABLES,
    }
    tables = {name: weights.data.tables[name] for name in TABLES_AT_QUALITY}
    tables |= {"half_widths": weights.half_widths, "counts": weights.counts}
    integers = {name: np.ascontiguousarray(table, np.int32) for name, table in tables.items()}
    files = {f"{name}.onnx": graph.SerializeToString(deterministic=True) for name, graph in graphs.items()}
    files[CONFIGURATION] = (json.dumps(configuration, indent=1) + "\n").encode()
    files[TABLES] = safetensors.numpy.save(integers)
    return files
