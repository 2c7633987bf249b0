"""Freed memory stays with the process, so that layers do not map it again for every picture."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from vaecodec.models.memory import keep_freed_memory

def round_trip():
    blocks = [np.ones(3 << 20, np.uint8) for _ in range(8)]
    del blocks

if sys.argv[1] == "kept":
    keep_freed_memory()
round_trip()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    round_trip()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_kept() -> None:
    # 24 MiB ten times over are 61,440 pages of 4 KiB.
    assert page_faults("kept") < page_faults("as it is") / 10
