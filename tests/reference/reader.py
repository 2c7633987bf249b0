"""A second reader, whole: from bytes to samples, written from docs/format.md alone; to be read, not to be fast.

numpy for arrays of int64, Pillow for tiles and alpha without loss, imagecodecs for those in JPEG XL, the plain range decoder beside it, and nothing of
vaecodec, torch or constriction.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Array = np.ndarray
DecodeGroup = Callable[[Any, dict[int, list[int]], list[int]], list[int]]


class Weights:
    """Section 6: tensors and clamps of a weights file."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        metadata = header.pop("__metadata__")
        self.config = json.loads(metadata["decoder"])
        self.tensors = {}
        for name, entry in header.items():
            if not name.startswith("encoder/"):
                start, end = entry["data_offsets"]
                dtype = {"I16": "<i2", "I32": "<i4"}[entry["dtype"]]
                values = np.frombuffer(data[8 + size + start : 8 + size + end], dtype).reshape(entry["shape"])
                self.tensors[name] = values.astype(np.int64)
        digest = hashlib.sha256(metadata["decoder"].encode() + b"\0")
        for name, values in sorted(self.tensors.items()):
            shape = "x".join(str(n) for n in values.shape)
            digest.update(name.encode() + b"\0" + shape.encode() + b"\0" + values.astype("<i4").tobytes())
        self.id = digest.digest()[:8]
        self.tables = {}
        position = 0
        for index, half_width in enumerate(self.tensors["coder/half_widths"].tolist(), start=1):
            length = 2 * half_width + 2
            self.tables[index] = self.tensors["coder/counts"][position : position + length].tolist()
            position += length

    def table(self, name: str, quality16: int) -> Array:
        """Section 5.1: a row at quality."""
        rows = self.tensors[f"exact/table/{name}"]
        i, r = divmod(quality16, 16)
        return (rows[i] * (16 - r) + rows[min(i + 1, 100)] * r + 8) >> 4

    def layer(self, name: str) -> tuple[Array, Array, Array, dict[str, int]]:
        """Weight, bias, shift and clamps."""
        weight, bias, shift = (self.tensors[f"exact/{name}/{part}"] for part in ("weight", "bias", "shift"))
        return weight, bias, shift, self.config["layers"][name]

    def count(self, prefix: str) -> int:
        """How many numbered blocks there are."""
        return len({name[len(prefix) + 1 :].split(".")[0] for name in self.config["layers"] if name.startswith(prefix)})


def linear(weights: Weights, name: str, x: Array, group: int = 0) -> Array:
    """[..., in] -> [..., out]."""
    weight, bias, shift, clamps = weights.layer(name)
    t = (x @ weight[group].T + bias[group]) >> shift[group]
    if clamps["leaky"]:
        t = np.maximum(t, t >> 3)
    return np.clip(t, -clamps["limit"], clamps["limit"])


def positional(weights: Weights, name: str, x: Array) -> Array:
    """A matrix for each position of a 2×2 cell."""
    out = np.zeros((*x.shape[:2], weights.layer(name)[0].shape[1]), np.int64)
    for p in range(4):
        out[p // 2 :: 2, p % 2 :: 2] = linear(weights, name, x[p // 2 :: 2, p % 2 :: 2], p)
    return out


def depthwise(weights: Weights, name: str, x: Array) -> Array:
    """Each channel by itself, zeros outside."""
    weight, bias, shift, clamps = weights.layer(name)
    k = weight.shape[1]
    padded = np.pad(x, ((k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    total = sum(padded[i : i + x.shape[0], j : j + x.shape[1]] * weight[:, i, j] for i in range(k) for j in range(k))
    return np.clip((total + bias) >> shift, -clamps["limit"], clamps["limit"])


def block(weights: Weights, name: str, x: Array) -> Array:
    """A residual block."""
    inner = linear(weights, f"{name}.expand", depthwise(weights, f"{name}.depthwise", x))
    limit = weights.layer(f"{name}.depthwise")[3]["input_limit"]
    return np.clip(x + linear(weights, f"{name}.project", inner), -limit, limit)


def unfold(x: Array, n: int) -> Array:
    """Cells to n × n cells."""
    h, w, c = x.shape
    return x.reshape(h, w, n, n, c // n**2).transpose(0, 2, 1, 3, 4).reshape(h * n, w * n, c // n**2)


def level(a: Array) -> Array:
    """A table index from 32nds of a level."""
    index = np.clip((a + 16) >> 5, 0, 63)
    return np.where(index < 3, 0, index)


def decode_latents(
    weights: Weights, decoder: Any, decode_group: DecodeGroup, q: int, h: int, w: int
) -> tuple[Array, Array]:
    """Section 5.2: z [Z, rows, columns] and ŷ in sixteenths of a step [M, h, w]."""
    rows, columns = -(-h // 4), -(-w // 4)
    H, W = 4 * rows, 4 * columns
    index = level(weights.table("hyper_index", q))
    indices = np.broadcast_to(index[:, None, None], (len(index), rows, columns))
    z = np.array(decode_group(decoder, weights.tables, indices.reshape(-1).tolist()), np.int64).reshape(indices.shape)

    f = unfold(linear(weights, "h_s.up32", np.clip(z, -255, 255).transpose(1, 2, 0)), 2)
    f = unfold(linear(weights, "h_s.up16", block(weights, "h_s.block32", f)), 2)
    limit = weights.layer("h_s.up16")[3]["limit"]
    f = np.clip(f + weights.table("prior_vector", q), -limit, limit)

    mean_factor, index_offset = weights.table("mean_factor", q), weights.table("index_offset", q)
    group = len(mean_factor) // 4
    y = np.zeros((H, W, 4 * group), np.int64)
    position = 2 * (np.arange(H)[:, None] % 2) + np.arange(W)[None] % 2
    decoded = np.zeros((H, W, group), np.int64)
    for k in range(4):
        if k > 0:
            u = weights.tensors["exact/table/asinh"][np.clip(decoded, -16383, 16383) + 16383]
            f = np.clip(f + positional(weights, f"context.{k}.enter", u), -limit, limit)
        for i in range(weights.count(f"context.{k}.blocks")):
            f = block(weights, f"context.{k}.blocks.{i}", f)
        out = positional(weights, f"context.{k}.leave", np.maximum(f, f >> 3))
        channels = (position ^ (0, 3, 1, 2)[k])[:, :, None] * group + np.arange(group)
        mean = (out[:, :, :group] * mean_factor[channels] + 2048) >> 12
        index = level(out[:, :, group:] + index_offset[channels])[:h, :w].transpose(2, 0, 1)
        symbols = np.array(decode_group(decoder, weights.tables, index.reshape(-1).tolist()), np.int64)
        decoded[:] = 0
        decoded[:h, :w] = 16 * symbols.reshape(index.shape).transpose(1, 2, 0) + mean[:h, :w]
        np.put_along_axis(y, channels, decoded, axis=2)
    return z, y[:h, :w].transpose(2, 0, 1)


def synthesise(weights: Weights, y: Array, q: int, depth: int) -> Array:
    """Section 5.3: ŷ [M, h, w] -> RGB [16h, 16w, 3]."""
    shift = weights.tensors["exact/table/latent_shift"]
    limit = weights.layer("g_s.pairs")[3]["input_limit"]
    f = np.clip(y.transpose(1, 2, 0), -32767, 32767) * weights.table("latent_factor", q)
    f = np.clip((f + (2**shift // 2)) >> shift, -limit, limit)
    for i in range(weights.count("g_s.blocks16")):
        f = block(weights, f"g_s.blocks16.{i}", f)
    f = unfold(linear(weights, "g_s.pairs", f), 2)
    finer = weights.count("g_s.blocks4")
    limit = weights.layer("g_s.quads" if finer else "g_s.patches")[3]["input_limit"]
    f = np.clip((f * weights.table("feature_factor", q) + 2**13) >> 14, -limit, limit)
    for i in range(weights.count("g_s.blocks8")):
        f = block(weights, f"g_s.blocks8.{i}", f)
    if finer:
        f = unfold(linear(weights, "g_s.quads", f), 2)
    for i in range(finer):
        f = block(weights, f"g_s.blocks4.{i}", f)
    side = 4 if finer else 8
    if depth == 8:
        return np.clip(unfold(linear(weights, "g_s.patches", f), side) + 128, 0, 255)
    weight, bias, shift, clamps = weights.layer("g_s.patches")
    sums = f @ weight[0].T + bias[0]
    t = np.clip(
        (sums - 2 ** (shift[0] - 1) + 2 ** (shift[0] - 9)) >> (shift[0] - 8),
        -256 * clamps["limit"],
        256 * clamps["limit"],
    )
    return (np.clip(unfold(t, side) + 128 * 256, 0, 255 * 256) * 257 + 128) >> 8


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Unsigned LEB128."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def short_tile(data: bytes) -> tuple[bytes, int, int, int, int, int, bool]:
    """Section 10: tile, mode, height, width, channels, depth, and whether the tile has alpha."""
    kind = data[6]
    assert kind < 64
    mode, channels, depth, alpha = kind & 3, 3 if kind & 4 else 1, 16 if kind & 8 else 8, bool(kind & 16)
    if kind & 32:
        assert mode == 3
        assert len(data) <= 6 + 255 + 2
        assert crc16(data[6:-2]) == int.from_bytes(data[-2:], "big")
        tile = b"\xff\x0a" + data[7:-2]
        height, width = jpeg_xl_planes(tile).shape[:2]
        return tile, mode, height, width, channels, depth, alpha
    assert zlib.crc32(data[6:-4]) == int.from_bytes(data[-4:], "little")
    width, at = varint(data, 7)
    height, at = varint(data, at)
    bare = data[at:-4]
    if mode == 3:
        return b"\xff\x0a" + bare, mode, height, width, channels, depth, alpha
    if mode == 2:
        sizes = [(n + len(bare) + len(bare) % 2).to_bytes(4, "little") for n in (12, 0)]
        tile = b"RIFF" + sizes[0] + b"WEBPVP8L" + len(bare).to_bytes(4, "little") + bare + bytes(len(bare) % 2)
        return tile, mode, height, width, channels, depth, alpha
    rows = height * (channels + alpha) if depth == 16 else height
    colour = 0 if depth == 16 else {(1, False): 0, (3, False): 2, (1, True): 4, (3, True): 6}[channels, alpha]
    size = width.to_bytes(4, "big") + rows.to_bytes(4, "big")
    chunks = [(b"IHDR", size + bytes([depth, colour, 0, 0, 0])), (b"IDAT", bare), (b"IEND", b"")]
    tile = b"\x89PNG\r\n\x1a\n" + b"".join(
        len(c).to_bytes(4, "big") + kind + c + zlib.crc32(kind + c).to_bytes(4, "big") for kind, c in chunks
    )
    return tile, mode, height, width, channels, depth, alpha


def crc16(data: bytes) -> int:
    """CRC-16/GENIBUS, bit by bit: polynomial 1021, from FFFF on, inverted."""
    value = 0xFFFF
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ (0x1021 if value & 0x8000 else 0)) & 0xFFFF
    return value ^ 0xFFFF


def jpeg_xl_planes(payload: bytes) -> Array:
    """Section 3, mode 3, as the library gives them."""
    import imagecodecs

    return np.asarray(imagecodecs.jpegxl_decode(payload))


def bits_per_sample(payload: bytes) -> int:
    """What the codestream says: ISO/IEC 18181-1, after magic, SizeHeader and all_default."""
    bits = f"{int.from_bytes(payload[2:16], 'little'):0112b}"[::-1]
    at = 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return int(bits[at - count : at][::-1], 2)

    small = take(1)
    take(5 if small else (9, 13, 18, 30)[take(2)])
    if take(3) == 0:
        take(5 if small else (9, 13, 18, 30)[take(2)])
    if take(1):
        return 8
    assert take(2) == 0
    kind = take(2)
    return (8, 10, 12)[kind] if kind < 3 else take(6) + 1


def stored_tile(payload: bytes, mode: int, h: int, w: int, channels: int, depth: int) -> Array:
    """Section 3, modes 1 to 3: samples [h, w, channels], alpha counted."""
    if mode == 3:
        planes = jpeg_xl_planes(payload).reshape(h, w, channels)
        bits = bits_per_sample(payload) if depth == 8 else depth
        return planes * np.uint8(255 // (2**bits - 1)) if bits < 8 else planes
    assert mode == 1 or depth == 8
    image = Image.open(io.BytesIO(payload), formats=["PNG" if mode == 1 else "WEBP"])
    if depth == 8 and channels in (2, 4):
        return np.asarray(image.convert("RGBA"))[:, :, [0, 3] if channels == 2 else [0, 1, 2, 3]]
    if depth == 8:
        return np.asarray(image.convert("RGB"))[:, :, :channels]
    assert image.size == (w, channels * h)
    return np.asarray(image).astype(np.uint16).reshape(channels, h, w).transpose(1, 2, 0)


def read_alpha(section: bytes | None, width: int, height: int, depth: int) -> Array | None:
    """Section 2, ALPHA: uint8 or uint16 [height, width]."""
    if section is None:
        return None
    mode, content = section[0], section[1:]
    if mode == 3:
        return np.full((height, width), content[0], np.uint8)
    if mode == 5:
        return stored_tile(content, 3, height, width, 1, depth)[:, :, 0]
    image = Image.open(io.BytesIO(content), formats=["WEBP" if mode == 2 else "PNG"])
    assert image.size == (width, height)
    if mode == 4:
        return np.asarray(image).astype(np.uint16)
    return np.asarray(image.convert("RGB"))[:, :, 1]


def read(data: bytes, weights: Weights | None, range_decoder: Any) -> tuple[Array, Array | None, str]:
    """Sections 1 to 3 and 7: samples uint8 or uint16 [height, width, channels], alpha [height, width] or None, and the digest of the integers.

    Weights may be None for a file without a model.
    """
    if data[:6] == b"\x89VAEC\x02":
        tile, mode, height, width, channels, depth, has_alpha = short_tile(data)
        planes = stored_tile(tile, mode, height, width, channels + has_alpha, depth)
        return planes[:, :, :channels], planes[:, :, -1] if has_alpha else None, hashlib.sha256().hexdigest()
    assert data[:6] == b"\x89VAEC\x01"
    at, sections = 6, {}
    while data[at] != 0x80:
        tag = data[at]
        length, start = varint(data, at + 1)
        end = start + length
        assert zlib.crc32(data[at:end]) == int.from_bytes(data[end : end + 4], "little")
        sections[tag] = data[start:end]
        at = end + 4
    at += 1
    header = sections[0x81]
    assert header[0] == 0
    assert header[1:9] == (bytes(8) if weights is None else weights.id)
    width, i = varint(header, 9)
    height, i = varint(header, i)
    channels, depth = header[i], header[i + 1]
    q, i = varint(header, i + 2)
    exponent = header[i]
    assert depth in (8, 16)
    side = 2**exponent if exponent else max(width, height)
    needed = {4} if weights is None else set()
    if 0x86 in sections and sections[0x86][0] == 4:
        assert depth == 16
        needed.add(3)
    if 0x86 in sections and sections[0x86][0] == 5:
        needed.add(5)
    in_tile = 0x86 in sections and sections[0x86] == b"\x06"
    needed |= {6} if in_tile else set()

    latents = 0 if weights is None else len(weights.tensors["exact/table/latent_shift"])
    y = np.zeros((latents, -(-height // 16), -(-width // 16)), np.int64)
    stored = []
    digest = hashlib.sha256()
    entry, table = 0, sections[0x82]
    for top in range(0, height, side):
        for left in range(0, width, side):
            mode = table[entry]
            length, entry = varint(table, entry + 1)
            payload = data[at : at + length]
            assert zlib.crc32(payload) == int.from_bytes(table[entry : entry + 4], "little")
            entry, at = entry + 4, at + length
            if mode != 0:
                needed |= ({1} if mode == 3 else set()) | ({2} if depth == 16 else set())
                stored.append((top, left, payload, mode))
                continue
            assert weights is not None
            h, w = -(-min(side, height - top) // 16), -(-min(side, width - left) // 16)
            decoder = range_decoder.RangeDecoder(payload)
            z, tile = decode_latents(weights, decoder, range_decoder.decode_group, q, h, w)
            decoder.close()
            digest.update(z.astype("<i4").tobytes() + tile.astype("<i4").tobytes())
            y[:, top // 16 : top // 16 + h, left // 16 : left // 16 + w] = tile
    assert at == len(data)
    assert list(sections.get(0x89, b"")) == sorted(needed)
    if weights is None:
        samples = np.zeros((height, width, channels), np.int64)
    else:
        rgb = synthesise(weights, y, q, depth)[:height, :width]
        samples = rgb if channels == 3 else (rgb.sum(axis=2, keepdims=True) + 1) // 3
    for top, left, payload, mode in stored:
        h, w = min(side, height - top), min(side, width - left)
        planes = stored_tile(payload, mode, h, w, channels + in_tile, depth)
        samples[top : top + h, left : left + w] = planes[:, :, :channels]
    alpha = planes[:, :, -1] if in_tile else read_alpha(sections.get(0x86), width, height, depth)
    if 0x8A in sections:
        assert weights is not None
        assert depth == 8
        overlay = stored_tile(sections[0x8A][1:], sections[0x8A][0], height, width, channels + 1, depth)
        assert set(np.unique(overlay[:, :, -1])) <= {0, 255}
        samples = np.where(overlay[:, :, -1:] == 255, overlay[:, :, :-1], samples)
    return samples.astype(np.uint8 if depth == 8 else "<u2"), alpha, digest.hexdigest()
