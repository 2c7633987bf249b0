"""The version of the package, readable without importing anything heavy."""

__version__ = "0.1.0"
RELEASED = False
"""Whether this is the release of that name, whose files all later ones open; until then `vaecodec --version` says so."""
