"""A codec in many threads, and in children of a process that has used it: the same files, and no hang."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vaecodec.api import Codec

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
