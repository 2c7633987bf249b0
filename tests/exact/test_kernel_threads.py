"""The core's own threads: many callers at once, children after a fork, and numbers of threads that make no difference."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from vaecodec.exact.integers import DepthwiseData, IntArray, LinearData
from vaecodec.exact.kernels import available_kernels, find_kernels

pytestmark = pytest.mark.skipif(available_kernels() == ["numpy"], reason="the extension was not built")

rng = np.random.default_rng(5)
CHANNELS = 64


def linear(outputs: int, inputs: int) -> LinearData:
    weight = rng.integers(-900, 901, (1, outputs, inputs)).astype(np.int32)
    return LinearData(weight, np.zeros((1, outputs), np.int32), np.full((1, outputs), 12, np.int32), 2047, 2047, True)


depthwise = DepthwiseData(
    rng.integers(-900, 901, (CHANNELS, 5, 5)).astype(np.int32), np.zeros(CHANNELS, np.int32),
    np.full(CHANNELS, 12, np.int32), 2047, 2047,
)  # fmt: skip
KERNELS = find_kernels()
LAYERS = (
    KERNELS.depthwise("a", depthwise), KERNELS.linear("b", linear(2 * CHANNELS, CHANNELS)),
    KERNELS.linear("c", linear(CHANNELS, 2 * CHANNELS)),
)  # fmt: skip
X = np.zeros((44, 54, CHANNELS), np.int16)
X[2:-2, 2:-2] = rng.integers(-2047, 2048, (40, 50, CHANNELS))


def computed(threads: int) -> IntArray:
    y = np.zeros_like(X)
    KERNELS.functions.blocks([LAYERS] * 5, X.copy(), y, 2, threads)
    return y


ALONE = computed(1)


@pytest.mark.parametrize("threads", [0, 2, 3, 8, 1000])
def test_the_number_of_threads_makes_no_difference(threads: int) -> None:
    assert np.array_equal(computed(threads), ALONE)


def test_eight_callers_at_once() -> None:
    with ThreadPoolExecutor(8) as executor:
        for y in executor.map(computed, [1, 2, 3, 4] * 50):
            assert np.array_equal(y, ALONE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_fork_starts_threads_of_its_own() -> None:
    computed(4)
    with ThreadPoolExecutor(2) as executor:
        busy = [executor.submit(computed, 4) for _ in range(200)]
        context = multiprocessing.get_context("fork")
        for _ in range(5):
            process = context.Process(target=_compare)
            process.start()
            process.join(60)
            assert process.exitcode == 0
        for future in busy:
            assert np.array_equal(future.result(), ALONE)


def _compare() -> None:
    os._exit(0 if np.array_equal(computed(4), ALONE) and np.array_equal(computed(3), ALONE) else 1)


def test_idle_threads_sleep() -> None:
    code = """
import time, sys
sys.path.insert(0, FOLDER)
from test_kernel_threads import computed
computed(4)
before = time.process_time()
time.sleep(1)
print(time.process_time() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code.replace("FOLDER", repr(str(Path(__file__).parent)))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 0.05


def test_interrupts_reach_the_main_thread() -> None:
    code = """
import os, signal, sys, threading, time
sys.path.insert(0, FOLDER)
from test_kernel_threads import computed
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
computed(4)
threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        computed(2)
except KeyboardInterrupt:
    print("interrupted")
"""
    code = code.replace("FOLDER", repr(str(Path(__file__).parent)))
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "interrupted\n" and time.monotonic() - start < 20
