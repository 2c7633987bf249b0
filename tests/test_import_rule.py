"""Imports point downwards only, without a circle: DESIGN's layers, from the ground up."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import vaecodec

PACKAGE = Path(vaecodec.__file__).parent

# A part may import parts of the rows above its own, and nothing else of the package.
LAYERS = (
    ("errors", "version"),
    ("announce", "atomic", "forks", "interrupt", "jpeg_xl_header", "metrics", "picture_files", "sources", "stopwatch"),
    ("bitstream", "picture"),
    ("exact",),
    ("models",),
    ("backends", "training", "installed"),
    ("codec",),
    ("vae",),
    ("api", "arrays", "evaluation", "prior_samples"),
    ("pillow", "numcodecs", "cluster", "demo", "desktop"),
    ("zarr",),
    ("cli",),
    ("__init__", "__main__"),
)

# Trainers run from a copy of the source where only torch, numpy, Pillow and safetensors are; tables are numpy alone.
_NOT_WHERE_TRAINED = {"vaecodec.bitstream.coder", "vaecodec.bitstream.container", "vaecodec.picture"}
FORBIDDEN = {
    "errors": {"torch", "numpy", "PIL"},
    "bitstream": {"torch", "PIL"},
    "picture": {"torch"},
    "metrics": {"PIL"},
    "codec": {"torch"},
    "installed": {"torch", "PIL"},
    "api": {"torch"},
    "pillow": {"torch"},
    "numcodecs": {"torch"},
    "cluster": {"torch"},
    "exact": _NOT_WHERE_TRAINED | {"PIL"},
    "models": _NOT_WHERE_TRAINED | {"PIL"},
    "training": _NOT_WHERE_TRAINED,
}
ONLY_IN = {"click": {"cli"}, "constriction": {"bitstream"}}

MODULES = {
    str(path.relative_to(PACKAGE).with_suffix("")).replace("/", ".").removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imported_names(source: str, path: Path) -> set[str]:
    """Every module that a source imports, wherever in it, and the names it takes from packages."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def names_in(module: str) -> set[str]:
    return imported_names(MODULES[module].read_text(encoding="utf-8"), MODULES[module])


def modules_among(names: set[str]) -> set[str]:
    """Modules of the package among imported names; of ``from package import module`` the module alone.

    What the package itself hands out, ``from vaecodec import Codec``, is of ``__init__``, above all others.
    """
    inside = {name.removeprefix("vaecodec.") for name in names if name.startswith("vaecodec.")}
    found = {name for name in inside if name in MODULES}
    modules = {name for name in found if not any(other.startswith(f"{name}.") for other in found)}
    handed_out = {name for name in inside if "." not in name} - MODULES.keys() - {part_of(name) for name in MODULES}
    alone = "vaecodec" in names and not inside
    return modules | ({"__init__"} if handed_out or alone else set())


def modules_imported(module: str) -> set[str]:
    """Modules of the package that one of them imports."""
    return modules_among(names_in(module)) - {module}


def part_of(module: str) -> str:
    return module.split(".")[0]


def test_every_part_has_a_layer() -> None:
    assert {part_of(module) for module in MODULES} == {part for layer in LAYERS for part in layer}


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards_only(module: str) -> None:
    level = {part: number for number, layer in enumerate(LAYERS) for part in layer}
    for other in modules_imported(module):
        part, own = part_of(other), part_of(module)
        assert part == own or level[part] < level[own], f"{module} imports {other}"


@pytest.mark.parametrize(
    ("source", "modules"),
    [
        ("from vaecodec import Codec", {"__init__"}),
        ("import vaecodec", {"__init__"}),
        ("from vaecodec import metrics", {"metrics"}),
        ("from vaecodec import Codec, metrics", {"__init__", "metrics"}),
        ("from vaecodec.metrics import psnr", {"metrics"}),
        ("from vaecodec.codec import codec", {"codec.codec"}),
        ("import vaecodec.codec.codec", {"codec.codec"}),
    ],
)
def test_every_way_to_import_is_seen(source: str, modules: set[str]) -> None:
    assert modules_among(imported_names(source, Path("a.py"))) == modules


def test_there_is_no_circle() -> None:
    """Not even one that imports inside of functions would hide."""
    waiting = {module: modules_imported(module) for module in MODULES}
    while free := [module for module, others in waiting.items() if not others & waiting.keys()]:
        for module in free:
            del waiting[module]
    assert not waiting


@pytest.mark.parametrize("module", MODULES)
def test_packages_are_imported_where_they_belong(module: str) -> None:
    part = part_of(module)
    for name in names_in(module):
        top = name.split(".")[0]
        assert top not in ONLY_IN or part in ONLY_IN[top], f"{module} imports {name}"
        wrong = [f for f in FORBIDDEN.get(part, ()) if name == f or name.startswith(f + ".")]
        assert not wrong, f"{module} imports {name}"
