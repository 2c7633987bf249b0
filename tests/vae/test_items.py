"""Arrays of items from files that people have, and what is said about those that are none."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vaecodec.errors import ItemsError, UsageError
from vaecodec.vae.items import is_items_file, make_items, read_items, read_labels

VALUES = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    return bytes((0, 0, kind, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


@pytest.mark.parametrize("packed", [False, True])
def test_idx_files_are_read_plain_and_packed(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(idx(VALUES)) if packed else idx(VALUES))
    items = read_items(path)
    assert np.array_equal(items.values, VALUES[..., None])
    assert items.shape == (2, 3, 5)
    assert is_items_file(path)


def test_npy_and_npz_are_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", VALUES)
    np.savez(tmp_path / "one.npz", x=VALUES)
    np.savez_compressed(tmp_path / "two.npz", x=VALUES, y=np.zeros((4, 7), np.uint8))
    for name in ("a.npy", "one.npz", "two.npz:x"):
        assert np.array_equal(read_items(tmp_path / name).values[..., 0], VALUES)
    assert read_items(tmp_path / "two.npz:y").values.shape == (4, 1, 7, 1)
    with pytest.raises(UsageError, match="x, y: name one"):
        read_items(tmp_path / "two.npz")
    with pytest.raises(ItemsError, match="no array called z"):
        read_items(tmp_path / "two.npz:z")


def test_a_folder_of_pictures_is_an_array_and_its_subfolders_are_labels(tmp_path: Path) -> None:
    for name, value in (("cat", 10), ("dog", 200)):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((4, 6), value, np.uint8)).save(tmp_path / name / "a.png")
    items = read_items(tmp_path)
    assert items.values[:, 0, 0, 0].tolist() == [10, 200]
    assert items.labels is not None and items.labels.tolist() == [0, 1]
    Image.fromarray(np.full((4, 7, 3), 9, np.uint8)).save(tmp_path / "dog" / "b.png")
    with pytest.raises(ItemsError, match=r"b\.png: 7x4 pixels, a\.png has 6x4"):
        read_items(tmp_path)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (VALUES.astype(np.float32), "float32, uint8 is needed"),
        (VALUES[0, 0], r"the shape is \(5\)"),
        (np.zeros((2, 3, 4, 5), np.uint8), "channels come last"),
        (np.zeros((0, 3, 4), np.uint8), "no item in it"),
    ],
)
def test_wrong_types_and_shapes_get_one_line(array: np.ndarray, message: str) -> None:
    with pytest.raises(ItemsError, match=message):
        make_items(array)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (idx(VALUES)[:-1], "29 bytes follow the header, its sizes say 30"),
        (idx(VALUES, kind=13), "type 0d"),
        (idx(VALUES)[:9], "ends inside its header"),
        (gzip.compress(idx(VALUES))[:-9], "damaged gzip"),
        (b"\x93NUMPY\x01\x00", "damaged .npy"),
        (b"hello", "not an array"),
    ],
)
def test_damaged_files_get_one_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "items.idx"
    path.write_bytes(data)
    with pytest.raises(ItemsError, match=message) as caught:
        read_items(path)
    assert "\n" not in str(caught.value)


def test_labels_are_one_integer_an_item(tmp_path: Path) -> None:
    path = tmp_path / "labels-idx1-ubyte"
    path.write_bytes(idx(np.array([7, 2], np.uint8)))
    assert read_labels(path, 2).tolist() == [7, 2]
    with pytest.raises(ItemsError, match="not one label for each of 3 items"):
        read_labels(path, 3)
