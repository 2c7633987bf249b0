"""Runs the tests of the kernels and of the range coder under AddressSanitizer and UndefinedBehaviorSanitizer; needs gcc on Linux.

    python tests/exact/sanitize.py [EXAMPLES]

EXAMPLES: how often hypothesis tries each test, in place of the tests' own numbers. Exit code 0: clean.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent.parent / "vaecodec"
FLAGS = [
    "-std=c11", "-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
    "-shared", "-fPIC", "-pthread",
]  # fmt: skip

CONFTEST = """
from hypothesis import settings

EXAMPLES = {examples}
if EXAMPLES:
    plain = settings.__call__

    def more(self, test):
        return plain(settings(self, max_examples=EXAMPLES), test)

    settings.__call__ = more
"""


def main(examples: int) -> int:
    """Builds a copy of the package with sanitizers, and runs the tests in it."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "vaecodec"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("*.so", "weights", "__pycache__"))
        kernels = copy / "exact" / "kernels"
        sources = sorted(map(str, kernels.glob("*.c")))
        include = f"-I{sysconfig.get_path('include')}"
        coder = copy / "bitstream" / "_range_coder"
        extensions = {kernels / "_kernels.abi3.so": sources, coder.with_suffix(".abi3.so"): [f"{coder}.c"]}
        for target, files in extensions.items():
            subprocess.run(["gcc", *FLAGS, include, *files, "-o", str(target)], check=True)
        runtime = subprocess.run(
            ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("exact/test_kernels.py", "exact/test_kernel_threads.py", "bitstream/test_coder.py"):
            shutil.copy(TESTS.parent / name, folder)
        tables = (TESTS.parent / "bitstream" / "conftest.py").read_text()
        (Path(folder) / "conftest.py").write_text(tables + CONFTEST.format(examples=examples))
        environment = os.environ | {
            "LD_PRELOAD": runtime,
            "PYTHONPATH": folder,
            # Python itself leaves memory behind at its end.
            "ASAN_OPTIONS": "detect_leaks=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", folder]
        return subprocess.run(command, env=environment, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
