"""What the site takes from elsewhere in the repository: the viewer where it has been built, and docstrings as Markdown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import griffe

_SHORT_CODE = re.compile(r"<code>([^<\n]{1,24})</code>(?!</pre>)")

REPOSITORY = Path(__file__).parents[1]
_ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod):`~?([^`]+)`")
# "::" before a drawing, alone on its line or at the end of one.
_LITERAL = re.compile(r"^::$|(?<=:):$", re.MULTILINE)


def on_config(config: Any) -> Any:
    """Links the viewer where it has been built."""
    if (REPOSITORY / "docs" / "viewer" / "dist" / "index.html").exists():
        config.nav.insert(1, {"Open a file here": "viewer/dist/index.html"})
    return config


def on_page_content(html: str, **_: Any) -> str:
    """Marks names and options in running text, which would break at their hyphens."""
    return _SHORT_CODE.sub(r'<code class="short">\1</code>', html)


class MarkdownDocstrings(griffe.Extension):
    """Docstrings name things and set off drawings as Sphinx has it; this is the same in Markdown."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrites one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = _LITERAL.sub("", _ROLE.sub(r"`\1`", obj.docstring.value))
