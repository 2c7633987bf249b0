"""No file over 500 lines, no class over 300, no function over 60 lines or 12 parameters without its reason in a comment above it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import vaecodec

PACKAGE = Path(vaecodec.__file__).parent
BENCH = PACKAGE.parent / "bench"
FILES = [
    *sorted(path for suffix in ("py", "c", "h") for path in PACKAGE.rglob(f"*.{suffix}")),
    *sorted(BENCH.rglob("*.py")),
]
MOST_LINES, MOST_LINES_OF_A_CLASS, MOST_LINES_OF_A_FUNCTION, MOST_PARAMETERS = 500, 300, 60, 12

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def has_reason(node: Definition, lines: list[str]) -> bool:
    """Whether a comment stands right above a definition, or between it and its decorators."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return any(lines[number - 2].strip().startswith("# ") for number in (first, node.lineno) if number > 1)


def too_large(source: str) -> list[str]:
    """Classes and functions over the limits, without a reason."""
    lines, found = source.splitlines(), []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, Definition):
            continue
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        most, parameters = MOST_LINES_OF_A_CLASS, 0
        if not isinstance(node, ast.ClassDef):
            a, most = node.args, MOST_LINES_OF_A_FUNCTION
            parameters = len([*a.posonlyargs, *a.args, *a.kwonlyargs]) + (a.vararg is not None) + (a.kwarg is not None)
        if (length > most or parameters > MOST_PARAMETERS) and not has_reason(node, lines):
            found.append(f"{node.name} at line {node.lineno}: {length} lines, {parameters} parameters")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_nothing_is_too_large_without_a_reason(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= MOST_LINES
    if path.suffix == ".py":
        assert not too_large(source)


def test_what_is_too_large_is_found() -> None:
    long = "def f():\n" + "    pass\n" * MOST_LINES_OF_A_FUNCTION
    wide = f"def f({', '.join(f'a{i}' for i in range(MOST_PARAMETERS + 1))}): pass\n"
    whole = "class C:\n" + "    a = 1\n" * MOST_LINES_OF_A_CLASS
    for source in (long, wide, whole):
        assert len(too_large(source)) == 1
        assert not too_large(f"# The reason.\n{source}")
    assert not too_large(f"@one\n# The reason.\n{long}")
    assert not too_large("def f():\n" + "    pass\n" * (MOST_LINES_OF_A_FUNCTION - 1))
