"""Imports point downwards only (docs: cli → api → {picture, bitstream, models} → …)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import vaecodec

PACKAGE = Path(vaecodec.__file__).parent

FORBIDDEN = {
    "errors": {"torch", "numpy", "constriction", "PIL", "click", "vaecodec"},
    "picture": {"torch", "constriction", "click", "vaecodec.bitstream", "vaecodec.models", "vaecodec.exact",
                "vaecodec.training", "vaecodec.api", "vaecodec.cli", "vaecodec.evaluation"},
    "bitstream": {"torch", "PIL", "click", "vaecodec.picture", "vaecodec.models", "vaecodec.exact",
                  "vaecodec.training", "vaecodec.api", "vaecodec.cli", "vaecodec.evaluation"},
    "exact": {"constriction", "PIL", "click", "vaecodec.bitstream", "vaecodec.picture", "vaecodec.models",
              "vaecodec.training", "vaecodec.api", "vaecodec.cli", "vaecodec.evaluation"},
    "models": {"constriction", "PIL", "click", "vaecodec.bitstream", "vaecodec.picture", "vaecodec.training",
               "vaecodec.api", "vaecodec.cli", "vaecodec.evaluation"},
    "training": {"constriction", "click", "tqdm", "vaecodec.bitstream", "vaecodec.picture", "vaecodec.api",
                 "vaecodec.cli", "vaecodec.evaluation"},
    "evaluation": {"click", "vaecodec.cli", "vaecodec.training"},
    "installed": {"torch", "constriction", "click", "PIL", "vaecodec.picture", "vaecodec.codec", "vaecodec.api",
                  "vaecodec.cli", "vaecodec.training", "vaecodec.evaluation"},
    "codec": {"torch", "constriction", "click", "vaecodec.api", "vaecodec.cli", "vaecodec.training"},
    "pillow": {"torch", "constriction", "click", "vaecodec.models", "vaecodec.cli", "vaecodec.training",
               "vaecodec.evaluation"},
    "numcodecs": {"torch", "constriction", "PIL", "click", "vaecodec.models", "vaecodec.cli", "vaecodec.training"},
    "zarr": {"torch", "constriction", "PIL", "click", "vaecodec.models", "vaecodec.cli", "vaecodec.training"},
    "cluster": {"torch", "constriction", "click", "vaecodec.models", "vaecodec.bitstream", "vaecodec.cli",
                "vaecodec.training"},
    "vae": {"click", "vaecodec.api", "vaecodec.cli"},
    "prior_samples": {"torch", "constriction", "click", "vaecodec.cli", "vaecodec.training", "vaecodec.evaluation"},
    "arrays": {"click", "vaecodec.cli", "vaecodec.training", "vaecodec.evaluation"},
    "api": {"torch", "click", "vaecodec.cli", "vaecodec.training", "vaecodec.evaluation"},
}  # fmt: skip


def imported_names(path: Path) -> set[str]:
    """Every module that a file imports, wherever in the file, and the names it takes from packages."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("part", FORBIDDEN)
def test_imports_point_downwards_only(part: str) -> None:
    files = [PACKAGE / f"{part}.py"] if (PACKAGE / f"{part}.py").exists() else sorted((PACKAGE / part).rglob("*.py"))
    assert files
    for path in files:
        for name in imported_names(path):
            wrong = [f for f in FORBIDDEN[part] if name == f or name.startswith(f + ".")]
            assert not wrong, f"{path.relative_to(PACKAGE)} imports {name}"
