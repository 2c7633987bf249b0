"""Pictures of a model of the VAE family: sheets of items, the map of its latents, and a page that a lecturer would show."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from vaecodec.errors import MissingExtraError
from vaecodec.vae.items import Values

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vaecodec.vae.arrays import ArrayCodec

Latents = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

MAP_POINTS = 5000
"""Points of a map: more of them hide each other."""
MANIFOLD_SIDE = 16
TRAVERSAL_STEPS = 11
TRAVERSAL_REACH = 2.5
"""Traversals go to ±2.5 σ of the prior."""
TRAVERSED = 12
"""Dimensions that are traversed: those with the most KL."""
RECONSTRUCTED = 12
_GAP = 1
_WANTED_SIDE = 900
_MANY_LABELS = 20


def sheet(items: Values, columns: int | None = None, *, scale: int | None = None) -> Values:
    """Items in rows on one picture: uint8 [N, H, W, C] -> uint8 [h, w, C], C 1 or 3.

    Args:
        items: of 1 or 3 channels; of two or four the first is shown.
        columns: in a row; None for a square.
        scale: pixels for each of an item's; None for a sheet of about 900 pixels.
    """
    if items.shape[3] not in (1, 3):
        items = items[..., :1]
    count, height, width, channels = items.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    if scale is None:
        scale = max(1, _WANTED_SIDE // max(rows * height, columns * width))
    large = items.repeat(scale, axis=1).repeat(scale, axis=2)
    gap = _GAP * max(1, scale // 2)
    whole = np.full(
        (rows * (height * scale + gap) + gap, columns * (width * scale + gap) + gap, channels), 96, np.uint8
    )
    for i, item in enumerate(large):
        top = gap + i // columns * (height * scale + gap)
        left = gap + i % columns * (width * scale + gap)
        whole[top : top + height * scale, left : left + width * scale] = item
    return whole


def png(samples: Values) -> bytes:
    """Uint8 [h, w, C] -> the bytes of a PNG."""
    out = io.BytesIO()
    Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples).save(out, "PNG")
    return out.getvalue()


def manifold(codec: ArrayCodec, side: int = MANIFOLD_SIDE, axes: tuple[int, int] = (0, 1)) -> Values:
    """What the plane of two dimensions decodes to, evenly in probability under the prior: uint8 [side², H, W, C]."""
    at = np.array([_normal_quantile((i + 0.5) / side) for i in range(side)])
    latents = np.zeros((side * side, codec.settings.latents))
    latents[:, axes[0]] = np.tile(at, side)
    latents[:, axes[1]] = np.repeat(at[::-1], side)
    return codec.decode(latents)


def traversals(codec: ArrayCodec, item: Latents, dimensions: npt.NDArray[np.intp]) -> Values:
    """One row for each dimension: the item with that dimension from −2.5 to 2.5, uint8 [rows · 11, H, W, C].

    Args:
        codec: the model.
        item: its latents, float32 [d].
        dimensions: which.
    """
    latents = np.repeat(item[None], len(dimensions) * TRAVERSAL_STEPS, axis=0)
    for row, dimension in enumerate(dimensions):
        at = slice(row * TRAVERSAL_STEPS, (row + 1) * TRAVERSAL_STEPS)
        latents[at, dimension] = np.linspace(-TRAVERSAL_REACH, TRAVERSAL_REACH, TRAVERSAL_STEPS)
    return codec.decode(latents)


def kl_bits(codec: ArrayCodec, items: Values) -> npt.NDArray[np.float64]:
    """Mean KL of every dimension over items, in bits, from the exact encoder; of an autoencoder zeros."""
    from vaecodec.vae.settings import LATENT_UNIT, LEVELS_PER_NAT, PRIOR_LEVEL

    posterior = codec.vae.encode(np.ascontiguousarray(items.reshape(-1, *codec.settings.shape)))
    if posterior.index is None:
        return np.zeros(codec.settings.latents)
    mean = posterior.mean / LATENT_UNIT
    log_sigma = (posterior.index.astype(np.float64) - PRIOR_LEVEL) / LEVELS_PER_NAT
    nats = 0.5 * (mean**2 + np.exp(2 * log_sigma) - 1) - log_sigma
    bits: npt.NDArray[np.float64] = nats.mean(axis=0) / math.log(2)
    return bits


def latent_page(codec: ArrayCodec, items: Values, labels: Labels | None, method: str = "auto") -> bytes:
    """One page: the map with its labels, the decoded manifold, traversals, reconstructions beside originals, KL per dimension.

    Args:
        codec: the model.
        items: uint8 [N, H, W, C].
        labels: integers [N], or None.
        method: how more than two dimensions become a map: ``pca``, ``umap`` (from umap-learn), or ``auto``: PCA.

    Returns:
        The bytes of a PNG file.

    Raises:
        MissingExtraError: matplotlib, or umap-learn where it was asked for, is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("this needs the package matplotlib: pip install 'vaecodec[metrics]'") from error

    latents = codec.encode(items)
    bits = kl_bits(codec, items[:MAP_POINTS])
    # An autoencoder has no KL: its dimensions in their own order.
    by_use = np.argsort(-bits, kind="stable")
    plane = (0, 1) if codec.settings.latents <= 2 else (int(by_use[0]), int(by_use[1]))

    figure = Figure(figsize=(17, 11.5), layout="constrained", dpi=110)
    grid = figure.add_gridspec(2, 3, width_ratios=(1.15, 1, 1), height_ratios=(1.2, 1))
    _draw_map(figure.add_subplot(grid[0, 0]), latents[:MAP_POINTS], labels, method)
    if codec.settings.latents > 1:
        title = "decoded manifold: quantiles of the prior"
        if codec.settings.latents > 2:
            title += f"; dimensions {plane[0]} and {plane[1]}, others 0"
        _show(figure.add_subplot(grid[0, 1]), sheet(manifold(codec, axes=plane), MANIFOLD_SIDE), title)
    shown = by_use[: min(TRAVERSED, codec.settings.latents)]
    _show(
        figure.add_subplot(grid[0, 2]),
        sheet(traversals(codec, latents[0], shown), TRAVERSAL_STEPS),
        "traversals of the first item, −2.5 to 2.5"
        + (f"; the {len(shown)} dimensions with the most KL" if len(shown) < codec.settings.latents else ""),
    )
    _draw_kl(figure.add_subplot(grid[1, 0]), bits, codec.settings.variational)
    pairs = items[: 2 * RECONSTRUCTED].reshape(-1, *codec.settings.shape)
    decoded = codec.decode(latents[: len(pairs)])
    rows = [
        part
        for i in range(0, len(pairs), RECONSTRUCTED)
        for part in (pairs[i : i + RECONSTRUCTED], decoded[i : i + RECONSTRUCTED])
    ]
    verb = "drawn anew from the latents" if codec.settings.context else "reconstructions"
    _show(
        figure.add_subplot(grid[1, 1]),
        sheet(np.concatenate(rows), RECONSTRUCTED),
        f"originals, and below each row {verb}",
    )
    _show(figure.add_subplot(grid[1, 2]), sheet(codec.sample(64), 16), "drawn from the prior")
    figure.suptitle(f"model {codec.name}: {codec.settings.latents} latents, {len(items):,} items")
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()


def _draw_map(axes: Axes, latents: Latents, labels: Labels | None, method: str) -> None:
    points, title = project(latents, method)
    axes.set_title(title)
    axes.set_aspect("equal", "datalim")
    if labels is None:
        axes.scatter(points[:, 0], points[:, 1], s=3, alpha=0.5)
        return
    labels = labels[: len(points)]
    named = np.unique(labels)
    many = len(named) > _MANY_LABELS
    drawn: Any = axes.scatter(
        points[:, 0], points[:, 1], s=3, c=np.searchsorted(named, labels), cmap="viridis" if many else "tab20" if len(named) > 10 else "tab10",
        vmin=-0.5, vmax=max(len(named), 1 if many else 20 if len(named) > 10 else 10) - 0.5,
    )  # fmt: skip
    if not many:
        handles = [
            axes.scatter([], [], s=30, color=drawn.cmap(drawn.norm(i)), label=str(name)) for i, name in enumerate(named)
        ]
        axes.legend(handles=handles, title="label", loc="best", fontsize="small", ncols=2)


def project(latents: Latents, method: str = "auto") -> tuple[npt.NDArray[np.float64], str]:
    """Float32 [N, d] -> points [N, 2], and what they are."""
    points = latents.astype(np.float64)
    if points.shape[1] == 1:
        jitter = np.random.default_rng(1).normal(size=len(points))
        return np.stack([points[:, 0], jitter], axis=1), "the latent, scattered upwards at random"
    if points.shape[1] == 2 and method != "umap":
        return points, "posterior means"
    if method == "umap":
        try:
            from umap import UMAP
        except ImportError as error:
            raise MissingExtraError("--map umap needs the package umap-learn: pip install umap-learn") from error
        return np.asarray(UMAP(random_state=1).fit_transform(points), np.float64), "posterior means, UMAP"
    centred = points - points.mean(axis=0)
    _, values, vectors = np.linalg.svd(centred, full_matrices=False)
    share = float((values[:2] ** 2).sum() / max((values**2).sum(), 1e-12))
    return centred @ vectors[:2].T, f"posterior means, PCA: {100 * share:.0f} % of their variance"


def _draw_kl(axes: Axes, bits: npt.NDArray[np.float64], variational: bool) -> None:
    from vaecodec.vae.settings import ACTIVE_BITS

    if not variational:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "an autoencoder has no KL", ha="center", transform=axes.transAxes)
        return
    active = bits > ACTIVE_BITS
    axes.bar(np.arange(len(bits)), bits, color=np.where(active, "#1f77b4", "#bbbbbb"))
    axes.set_title(f"KL per dimension: {bits.sum():.1f} bits an item, {int(active.sum())} of {len(bits)} active")
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("dimension")
    axes.set_ylabel("bits")


def _show(axes: Axes, samples: Values, title: str) -> None:
    grey = samples.shape[2] == 1
    axes.imshow(samples[..., 0] if grey else samples, cmap="gray" if grey else None, vmin=0, vmax=255)
    axes.set_title(title, fontsize="medium")
    axes.set_axis_off()


def _normal_quantile(p: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(p)
