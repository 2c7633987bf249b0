from __future__ import annotations

import subprocess
import sys

MODULES = ["coder", "container", "digest", "tables", "varint"]


def test_the_bitstream_needs_neither_networks_nor_pictures() -> None:
    program = "\n".join(
        [
            "import importlib, sys",
            f"for name in {MODULES}: importlib.import_module('vaecodec.bitstream.' + name)",
            "print(*sorted({'torch', 'PIL', 'vaecodec.picture', 'vaecodec.models', 'constriction'} & set(sys.modules)))",
        ]
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["constriction"]
