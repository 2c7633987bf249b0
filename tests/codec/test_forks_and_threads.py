"""A codec in many threads, and in children of a process that has used it: the same files, and no hang."""

from __future__ import annotations

import io
import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vaecodec
from vaecodec import api
from vaecodec.api import Codec
from vaecodec.codec.stored import StoredParts
from vaecodec.picture import read_files

PICTURE = np.random.default_rng(1).integers(0, 256, (130, 200, 3), np.uint8)
SECONDS = 120


@pytest.fixture(scope="module")
def busy() -> Codec:
    """A codec with threads of its own, which has been used."""
    codec = Codec(backend="native", threads=3)
    codec.compress(PICTURE)
    return codec


def test_eight_threads_on_one_codec(busy: Codec) -> None:
    expected = busy.compress(PICTURE)
    samples = busy.decompress(expected).samples
    with ThreadPoolExecutor(8) as executor:
        for data in executor.map(lambda _: busy.compress(PICTURE), range(24)):
            assert data == expected
        for picture in executor.map(lambda _: busy.decompress(expected), range(24)):
            assert np.array_equal(picture.samples, samples)


def test_the_number_of_threads_changes_no_file(busy: Codec) -> None:
    assert Codec(backend="native", threads=1).compress(PICTURE) == busy.compress(PICTURE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_fork_compresses_with_the_codec_of_its_parent(busy: Codec) -> None:
    expected = busy.compress(PICTURE)

    def child() -> None:
        os._exit(0 if busy.compress(PICTURE) == expected else 1)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(SECONDS)
    assert process.exitcode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("what", ["the codecs of the process", "the filters of warnings", "a cached property"])
def test_a_child_finds_open_what_another_thread_held(what: str) -> None:
    held, done = threading.Event(), threading.Event()

    def hold(lock: AbstractContextManager[Any]) -> None:
        with lock:
            held.set()
            done.wait()

    lock: Any = {
        "the codecs of the process": api._codecs_lock,
        "the filters of warnings": read_files._WARNING_FILTERS,
    }.get(what)
    if lock is None:
        if not hasattr(vars(StoredParts)["tiles"], "lock"):
            pytest.skip("this Python's cached properties have no lock")
        lock = vars(StoredParts)["tiles"].lock
    file = io.BytesIO()
    Image.fromarray(PICTURE // 200 * 255).save(file, "PNG")
    data = vaecodec.compress(file.getvalue())
    thread = threading.Thread(target=hold, args=(lock,))
    thread.start()
    held.wait()

    def child() -> None:
        vaecodec.decompress(data)
        os._exit(0 if vaecodec.compress(file.getvalue()) == data else 1)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join(SECONDS)
    done.set()
    thread.join()
    hung = process.is_alive()
    process.kill()
    assert not hung and process.exitcode == 0


def _length() -> int:
    return len(Codec(backend="native", threads=2).compress(PICTURE))


def test_a_spawned_child_compresses(busy: Codec) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply_async(_length).get(SECONDS) == len(busy.compress(PICTURE))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_workers_of_a_data_loader_decode(busy: Codec) -> None:
    data_module = pytest.importorskip("torch.utils.data")
    data = busy.compress(PICTURE)

    class Pictures(data_module.Dataset):  # type: ignore[misc, name-defined]
        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> np.ndarray:
            return busy.decompress(data).samples.astype(np.int32)

    expected = busy.decompress(data).samples
    loader = data_module.DataLoader(Pictures(), batch_size=2, num_workers=2, timeout=SECONDS)
    for batch in loader:
        assert np.array_equal(batch[0].numpy(), expected)
