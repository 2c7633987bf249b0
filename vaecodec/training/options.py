"""Settings of a trainer as a dataclass: every field is an option with its help, here and in ``vaecodec train``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import field, fields
from typing import Any


def setting(default: Any, help: str) -> Any:
    """A field of the settings, with the sentence that ``--help`` prints."""
    return field(default=default, metadata={"help": help})


def parse_settings(settings: type[Any], prog: str, description: str, arguments: Sequence[str] | None) -> Any:
    """A command line -> settings; ``data`` is its argument, ``out`` is -o, every other field an option."""
    parser = argparse.ArgumentParser(prog=prog, description=description)
    for f in fields(settings):
        text = f.metadata["help"]
        if f.name == "data":
            parser.add_argument("data", help=text)
        elif f.name == "out":
            parser.add_argument("-o", "--out", required=True, help=text)
        else:
            kind = type(f.default)
            parser.add_argument(
                "--" + f.name.replace("_", "-"), type=kind, default=f.default, help=f"{text} [%(default)s]"
            )
    return settings(**vars(parser.parse_args(arguments)))
