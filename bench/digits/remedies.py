"""Over-fitting and posterior collapse, each with and without its remedy, drawn side by side.

    python -m bench.digits.remedies train-images-idx3-ubyte.gz -o remedies/

*Over-fitting*: 500 items for a dense VAE, once to the end, once with --patience. *Collapse*: β of 8 and four layers a side,
once as it is, once with --free-bits, once with --beta-warmup. A few minutes on one core.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from vaecodec.training.curves import draw_curves
from vaecodec.vae.train_settings import VaeTrainSettings
from vaecodec.vae.training import train_vae

OVER_FITTED: dict[str, Any] = {
    "limit": 500,
    "steps": 3000,
    "validate_every": 100,
    "validation_items": 500,
    "batch": 50,
    "ema": 0.98,
}
COLLAPSED: dict[str, Any] = {
    "widths": "256,256,256,256", "beta": 8.0, "steps": 1500, "validate_every": 100, "validation_items": 500, "ema": 0.98,
}  # fmt: skip
RUNS: dict[str, dict[str, Any]] = {
    "to-the-end": OVER_FITTED,
    "patience": OVER_FITTED | {"patience": 5},
    "collapse": COLLAPSED,
    "free-bits": COLLAPSED | {"free_bits": 0.5},
    "beta-warmup": COLLAPSED | {"beta_warmup": 1500},
}


def history(path: Path) -> list[dict[str, float]]:
    """The rows that a run wrote."""
    with path.with_suffix(".csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.digits.remedies", description=__doc__.split("\n")[0])
    parser.add_argument("data")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = {}
    for name, settings in RUNS.items():
        out = options.out / f"{name}.safetensors"
        train_vae(VaeTrainSettings(data=options.data, out=str(out), **settings))
        rows[name] = history(out)
        last = rows[name][-1]
        best = min(rows[name], key=lambda row: row["validation_loss"])
        print(
            f"{name}: ended at step {last['step']:.0f}, best at {best['step']:.0f}: validation {best['validation_bits_per_dimension']:.4f} "
            f"bits per dimension; at the end {last['validation_bits_per_dimension']:.4f}, train {last['train_bits_per_dimension']:.4f}, "
            f"{last['validation_active_units']:.0f} dimensions active, KL {last['validation_kl'] * 784:.1f} bits an item"
        )
    whole, stopped = rows["to-the-end"], rows["patience"]
    x = [row["step"] for row in whole]
    missing = [float("nan")] * (len(whole) - len(stopped))
    draw_curves(
        options.out / "over-fitting.png", x,
        {
            "train": [row["train_loss"] for row in whole],
            "validation": [row["validation_loss"] for row in whole],
            "stopped here": [row["validation_loss"] for row in stopped] + missing,
        },
        labels=("step", "loss, bits per dimension"),
    )  # fmt: skip
    draw_curves(
        options.out / "collapse.png", [row["step"] for row in rows["collapse"]],
        {name: [row["validation_active_units"] for row in rows[name]] for name in ("collapse", "free-bits", "beta-warmup")},
        labels=("step", "dimensions active, of 16"),
    )  # fmt: skip


if __name__ == "__main__":
    main()
