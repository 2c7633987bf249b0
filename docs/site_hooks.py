"""What the site takes from elsewhere in the repository: results, the viewer where it has been built, and docstrings as Markdown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import griffe

REPOSITORY = Path(__file__).parents[1]
_RESULTS = re.compile(r"<!-- results:begin -->\n(.*?)<!-- results:end -->", re.DOTALL)
_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`~?([^`]+)`")
# "::" before a drawing, alone on its line or at the end of one.
_LITERAL = re.compile(r"^::$|(?<=:):$", re.MULTILINE)


def on_config(config: Any) -> Any:
    """Links the viewer where it has been built."""
    if (REPOSITORY / "docs" / "viewer" / "dist" / "index.html").exists():
        config.nav.insert(1, {"Open a file here": "viewer/dist/index.html"})
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Puts the README's tables where a page asks for them."""
    if "<!-- results -->" not in markdown:
        return markdown
    found = _RESULTS.search((REPOSITORY / "README.md").read_text(encoding="utf-8"))
    if found is None:
        raise ValueError("the README has no results")
    return markdown.replace("<!-- results -->", found[1])


class MarkdownDocstrings(griffe.Extension):
    """Docstrings name things and set off drawings as Sphinx has it; this is the same in Markdown."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrites one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = _LITERAL.sub("", _ROLE.sub(r"`\1`", obj.docstring.value))
