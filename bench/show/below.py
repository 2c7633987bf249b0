"""Where vaecodec is behind a peer: at which rates of the mean curve, and on which single pictures.

    python -m bench.show.below [--results bench/results/VERSION] [--codec vaecodec] [--peers webp,avif] [--metric psnr]

The mean curves are compared at equal bits over the rates that both cover. A picture is listed when its quality at equal bits is
below the peer's somewhere in the rates that both cover there, with its BD-rate against that peer: over the main window of PSNR, or
over SSIMULACRA2 scores from 30 to 90.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.interpolate import PchipInterpolator

from bench.measure.codecs import OURS, display_name
from bench.show.analysis import Point, load_results, mean_curve, picture_curves, picture_gains, rising, windows_of
from bench.show.markdown import markdown_table, signed
from bench.show.readme_results import newest_release
from vaecodec.errors import UsageError

_STEPS = 200
_METRICS = {"psnr": "PSNR", "ssimulacra2": "SSIMULACRA2"}
_UNITS = {"psnr": " dB", "ssimulacra2": ""}


def differences(ours: Sequence[Point], theirs: Sequence[Point]) -> tuple[np.ndarray, np.ndarray] | None:
    """Bits per pixel that both curves cover, on a log scale, and quality of ours less theirs there; None where there are none."""
    ours, theirs = rising(ours), rising(theirs)
    if min(len(ours), len(theirs)) < 2:
        return None
    low, high = max(ours[0].bpp, theirs[0].bpp), min(ours[-1].bpp, theirs[-1].bpp)
    if low >= high:
        return None
    rates = np.geomspace(low, high, _STEPS)
    a, b = (
        PchipInterpolator(np.log([p.bpp for p in curve]), [p.quality for p in curve])(np.log(rates))
        for curve in (ours, theirs)
    )
    return rates, a - b


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.show.below", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, help="folder of rows [the newest release in bench/results]")
    parser.add_argument("--codec", default=OURS, help="key of our codec [%(default)s]")
    parser.add_argument("--peers", default="webp,avif", help="keys of peers [%(default)s]")
    parser.add_argument("--metric", choices=list(_METRICS), default="psnr", help="of quality [%(default)s]")
    options = parser.parse_args(arguments)
    metric, unit = options.metric, _UNITS[options.metric]
    window, (low, high) = next(iter(windows_of(metric).items()))
    results = load_results(options.results or newest_release())
    peers = options.peers.split(",")
    if unknown := [key for key in (options.codec, *peers) if key not in results.codecs()]:
        raise UsageError(f"no rows of {', '.join(unknown)} in these results")

    print(f"Mean curves, {_METRICS[metric]} at equal bits, ours less theirs:\n")
    rows = []
    for name, table in results.tables.items():
        for key in peers:
            found = differences(*(mean_curve(table.rows, codec, metric) for codec in (options.codec, key)))
            if found is None:
                continue
            rates, gap = found
            behind = rates[gap < 0]
            where = f"{behind.min():.2f} to {behind.max():.2f} bpp" if len(behind) else "nowhere"
            least, most = int(gap.argmin()), int(gap.argmax())
            rows.append([
                name, display_name(key), f"{rates[0]:.2f} to {rates[-1]:.2f} bpp", f"{gap[least]:+.2f}{unit} at {rates[least]:.2f}",
                f"{gap[most]:+.2f}{unit} at {rates[most]:.2f}", where,
            ])  # fmt: skip
    print(markdown_table(["set", "peer", "rates", "least", "most", "behind at"], rows))

    print("\nPictures on which it is behind somewhere, the worst first:\n")
    pictures: list[tuple[float, list[str]]] = []
    for name, table in results.tables.items():
        ours = picture_curves(table.rows, options.codec, metric)
        for key in peers:
            gains = picture_gains(table, options.codec, key, window, metric)
            for picture, theirs in picture_curves(table.rows, key, metric).items():
                found = differences(ours[picture], theirs)
                if found is None or found[1].min() >= 0:
                    continue
                rates, gap = found
                behind = rates[gap < 0]
                gain = gains.get(picture)
                percent = gain.percent if gain is not None else None
                pictures.append((
                    float(gap.min()),
                    [name, picture, display_name(key), f"{gap.min():+.2f}{unit}", f"{behind.min():.2f} to {behind.max():.2f} bpp",
                     "n/a" if percent is None else signed(percent)],
                ))  # fmt: skip
    header = ["set", "picture", "peer", "least, at equal bits", "behind at", f"BD-rate, {low:g}–{high:g}, %"]
    print(markdown_table(header, [row for _, row in sorted(pictures, key=lambda row: row[0])]))


if __name__ == "__main__":
    main()
