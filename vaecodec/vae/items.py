"""Arrays of small items from what people have: IDX files, .npy and .npz arrays, folders of small pictures."""

from __future__ import annotations

import gzip
import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from vaecodec.errors import ItemsError, LimitError, UsageError
from vaecodec.picture_files import find_plain_pictures

MAX_VALUES: Final = 1 << 31
"""Values of an array at most."""
_IDX_UINT8: Final = 0x08
_GZIP_MAGIC: Final = b"\x1f\x8b"

Values = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Items:
    """Items and what is known about them.

    Attributes:
        values: uint8 [N, H, W, C].
        shape: of the array as it was read, N first: [N, D], [N, H, W] or [N, H, W, C].
        labels: int64 [N], or None; of a folder the number of the subfolder.
    """

    values: Values
    shape: tuple[int, ...]
    labels: npt.NDArray[np.int64] | None = None


def is_items_file(path: str | Path) -> bool:
    """Whether a name is that of an array of items rather than of a picture."""
    name = Path(path).name.lower().removesuffix(".gz")
    return name.endswith((".npy", ".npz", "-ubyte", ".idx"))


def read_items(path: str | Path) -> Items:
    """Items of a file or folder.

    Args:
        path: IDX (``.gz`` or not), ``.npy``, ``.npz`` (``FILE.npz:NAME`` where it has several arrays), or a folder of
            pictures of one size; its subfolders, if there are any, are the labels.

    Raises:
        ItemsError: no such file, not an array of uint8, or not of items.
        LimitError: too large.
    """
    path = Path(path)
    if path.is_dir():
        return _read_folder(path)
    return make_items(read_array(path), str(path))


def make_items(array: npt.NDArray[Any], where: str = "the array") -> Items:
    """Takes an array as items: uint8 [N, D], [N, H, W] or [N, H, W, C] with up to 4 channels."""
    if array.dtype != np.uint8:
        raise ItemsError(f"{where}: values are {array.dtype}, uint8 is needed: scale them to 0..255 and convert them")
    if not 2 <= array.ndim <= 4:
        raise ItemsError(f"{where}: the shape is {_text(array.shape)}: items are (N, D), (N, H, W) or (N, H, W, C)")
    if array.ndim == 4 and not 1 <= array.shape[3] <= 4:
        raise ItemsError(f"{where}: the shape is {_text(array.shape)}: channels come last, 1 to 4 of them")
    if min(array.shape) < 1:
        raise ItemsError(f"{where}: the shape is {_text(array.shape)}: there is no item in it")
    return Items(with_axes(array), array.shape)


def with_axes(array: npt.NDArray[Any]) -> Values:
    """[N, D], [N, H, W] or [N, H, W, C] -> [N, H, W, C]; vectors are 1 × D × 1."""
    values: Values = array[:, None, :, None] if array.ndim == 2 else array[..., None] if array.ndim == 3 else array
    return values


def read_labels(path: str | Path, count: int) -> npt.NDArray[np.int64]:
    """Labels of ``count`` items: one integer each, from an IDX or .npy file."""
    labels = read_array(Path(path))
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != count:
        raise ItemsError(
            f"{path}: {labels.dtype} of the shape {_text(labels.shape)} is not one label for each of {count} items"
        )
    return labels.astype(np.int64)


def read_array(path: Path) -> npt.NDArray[Any]:
    """One array of an IDX, .npy or .npz file."""
    name = None
    if not path.exists() and ".npz:" in path.name:
        file_name, name = path.name.rsplit(":", 1)
        path = path.with_name(file_name)
    try:
        if path.suffix.lower() == ".npz":
            return _read_npz(path, name)
        data = path.read_bytes()
        if data.startswith(_GZIP_MAGIC):
            with gzip.open(path) as file:
                data = file.read(MAX_VALUES + 4096)
    except FileNotFoundError as error:
        raise ItemsError(f"{path}: no such file") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ItemsError(f"{path}: damaged gzip data ({error})") from error
    if data.startswith(b"\x93NUMPY"):
        return _read_npy(data, str(path))
    if data[:2] == b"\0\0" and len(data) >= 4:
        return _read_idx(data, str(path))
    raise ItemsError(f"{path}: not an array: IDX, .npy, .npz and folders of pictures are known")


def _read_npy(data: bytes, where: str) -> npt.NDArray[Any]:
    import io

    try:
        array: npt.NDArray[Any] = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ItemsError(f"{where}: damaged .npy file ({error})") from error
    return array


def _read_npz(path: Path, name: str | None) -> npt.NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            if name is None and len(archive.files) != 1:
                raise UsageError(f"{path}: has the arrays {', '.join(archive.files)}: name one as {path.name}:NAME")
            array: npt.NDArray[Any] = archive[archive.files[0] if name is None else name]
    except KeyError:
        raise ItemsError(f"{path}: has no array called {name}") from None
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ItemsError(f"{path}: damaged .npz file ({error})") from error
    return array


def _read_idx(data: bytes, where: str) -> npt.NDArray[Any]:
    """IDX: 0, 0, type, axes, then big-endian sizes, then values (LeCun's file format for MNIST)."""
    kind, axes = data[2], data[3]
    if kind != _IDX_UINT8:
        raise ItemsError(f"{where}: an IDX file of the type {kind:02x}: unsigned bytes (08) are needed")
    if len(data) < 4 + 4 * axes:
        raise ItemsError(f"{where}: the file ends inside its header")
    shape = tuple(int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes))
    size = math.prod(shape)
    if size > MAX_VALUES:
        raise LimitError(f"{where}: {size} values are over the limit of {MAX_VALUES}")
    if len(data) - 4 - 4 * axes != size:
        raise ItemsError(f"{where}: {len(data) - 4 - 4 * axes} bytes follow the header, its sizes say {size}")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _read_folder(folder: Path) -> Items:
    paths = find_plain_pictures(folder)
    if not paths:
        raise ItemsError(f"{folder}: no pictures here")
    pictures = []
    for path in paths:
        try:
            with Image.open(path) as image:
                pictures.append(np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB")))
        except (OSError, Image.DecompressionBombError) as error:
            raise ItemsError(f"{path}: cannot be read as a picture") from error
    for path, picture in zip(paths, pictures, strict=True):
        if picture.shape[:2] != pictures[0].shape[:2]:
            raise ItemsError(
                f"{path}: {picture.shape[1]}x{picture.shape[0]} pixels, {paths[0].name} has "
                f"{pictures[0].shape[1]}x{pictures[0].shape[0]}: items are all of one size"
            )
    grey = all(picture.ndim == 2 for picture in pictures)
    values = np.stack(
        [p[..., None] if grey else np.broadcast_to(np.atleast_3d(p), (*p.shape[:2], 3)) for p in pictures]
    )
    names = sorted({path.parent for path in paths})
    labels = np.array([names.index(path.parent) for path in paths]) if len(names) > 1 else None
    return Items(values, values.shape[:3] if grey else values.shape, labels)


def _text(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})"
