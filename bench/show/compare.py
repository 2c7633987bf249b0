"""What got better and what got worse between two folders of results, picture by picture.

    python -m bench.show.compare OLD NEW [--codec vaecodec] [--tolerance 1] [--tolerance-picture 3]

Exit code 0: nothing is worse than the tolerances allow; 1: something is. A change of weights or code that makes the product worse
on some picture is seen here, also where the mean hides it.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure.codecs import OURS, REFERENCE, display_name
from bench.measure.rows import QualityTable
from bench.show.analysis import Results, compare, load_results, mean_curve, picture_curves, summarise_times
from bench.show.markdown import signed
from vaecodec.errors import UsageError, VaecodecError
from vaecodec.evaluation import WINDOWS
from vaecodec.evaluation.tables import text_table

# Pictures listed on each side of every set.
LISTED = 5

# Times are compared as multiples of JPEG's in the same run; they still scatter by so much on shared machines.
TIME_TOLERANCE = 0.25


@dataclass(frozen=True)
class SetChange:
    """How one set of pictures changed.

    Attributes:
        name: of the set.
        windows: BD-rate of the new rows against the old ones in every window, in per cent; None where not to be had.
        pictures: the same for single pictures over the range that both curves share.
        gone: pictures or settings that only the old rows have.
        added: those that only the new rows have.
    """

    name: str
    windows: dict[str, float | None]
    pictures: dict[str, float]
    gone: list[str]
    added: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.show.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path, metavar="OLD", help="folder of results")
    parser.add_argument("new", type=Path, metavar="NEW", help="folder of results")
    parser.add_argument("--codec", default=OURS, help="key of the codec [%(default)s]")
    parser.add_argument("--tolerance", type=float, default=1.0, help="of a set, per cent of bytes [%(default)g]")
    parser.add_argument("--tolerance-picture", type=float, default=3.0, help="of one picture [%(default)g]")
    options = parser.parse_args(arguments)
    old, new = load_results(options.old), load_results(options.new)
    changes = compare_sets(old, new, options.codec)
    print(f"{display_name(options.codec)}, bytes at equal PSNR, new against old; negative is better")
    for change in changes:
        print("\n" + described(change))
    if lines := time_changes(old, new, options.codec):
        print("\ntime as a multiple of JPEG 4:2:0 in the same run, new against old\n" + "\n".join(lines))
    if notes := environment_changes(old, new):
        print("\n" + "\n".join(notes))
    problems = worse(changes, options.tolerance, options.tolerance_picture)
    print(
        "\n"
        + (
            "\n".join(f"WORSE: {line}" for line in problems)
            if problems
            else "nothing is worse than the tolerances allow"
        )
    )
    return 1 if problems else 0


def compare_sets(old: Results, new: Results, codec: str) -> list[SetChange]:
    """Compares all sets that both have.

    Raises:
        UsageError: there is no set in which both have rows of the codec.
    """
    names = [name for name in old.tables if name in new.tables]
    changes = [change for name in names if (change := compare_set(name, old.tables[name], new.tables[name], codec))]
    if not changes:
        raise UsageError(f"nothing to compare: no set has rows of {codec} in both folders")
    return changes


def compare_set(name: str, old: QualityTable, new: QualityTable, codec: str) -> SetChange | None:
    """Compares the rows of one codec on one set; None where one side has none."""
    before = {(row.picture, row.setting): row for row in old.rows if row.codec == codec}
    after = {(row.picture, row.setting): row for row in new.rows if row.codec == codec}
    if not before or not after:
        return None
    old_curve, new_curve = (mean_curve(table.rows, codec, "psnr") for table in (old, new))
    windows = {}
    for window, span in WINDOWS.items():
        found = compare(old_curve, new_curve, span)
        windows[window] = None if found is None else found.percent
    curves = [picture_curves(table.rows, codec) for table in (old, new)]
    pictures = {}
    for picture in sorted(set(curves[0]) & set(curves[1])):
        found = compare(curves[0][picture], curves[1][picture], None, fewest=4)
        if found is not None and found.percent is not None:
            pictures[picture] = found.percent
    # A lossless codec has no curve: sizes alone tell.
    if not pictures:
        pictures = lossless_changes(
            {key[0]: row.bytes for key, row in before.items()}, {key[0]: row.bytes for key, row in after.items()}
        )
        windows = {"size": statistics.fmean(pictures.values()) if pictures else None}
    gone, added = ({key[0] for key in a} - {key[0] for key in b} for a, b in ((before, after), (after, before)))
    return SetChange(name, windows, pictures, sorted(gone), sorted(added))


def lossless_changes(before: dict[str, int], after: dict[str, int]) -> dict[str, float]:
    """Change of size in per cent, picture by picture."""
    return {name: 100 * (after[name] / before[name] - 1) for name in sorted(set(before) & set(after))}


def described(change: SetChange) -> str:
    """The change of one set as text."""
    windows = ", ".join(
        f"{window} {'n/a' if value is None else signed(value, 2) + ' %'}" for window, value in change.windows.items()
    )
    lines = [f"{change.name}: {windows}"]
    values = change.pictures
    if values:
        better = sum(value < 0 for value in values.values())
        mean = statistics.fmean(values.values())
        lines.append(
            f"{len(values)} pictures: {better} better, {sum(v > 0 for v in values.values())} worse, mean {signed(mean, 2)} %"
        )
        ordered = sorted(values, key=values.__getitem__)
        listed = list(dict.fromkeys([*ordered[:LISTED], *ordered[-LISTED:]]))
        lines.append(text_table(("picture", "bytes, %"), [(name, signed(values[name], 2)) for name in listed]))
    for label, names in (("only in OLD", change.gone), ("only in NEW", change.added)):
        if names:
            lines.append(f"{label}: {', '.join(names)}")
    return "\n".join(lines)


def time_changes(old: Results, new: Results, codec: str) -> list[str]:
    """Times that changed by more than machines scatter."""
    before, after = relative_times(old, codec), relative_times(new, codec)
    lines = []
    for key in sorted(set(before) & set(after)):
        change = after[key] / before[key] - 1
        word = "slower" if change > 0 else "faster"
        verdict = (
            f"{100 * abs(change):.0f} % {word}" if abs(change) > TIME_TOLERANCE else "within what machines scatter"
        )
        lines.append(f"{key}: {before[key]:.2f}, now {after[key]:.2f}: {verdict}")
    return lines


def relative_times(results: Results, codec: str) -> dict[str, float]:
    """Median times as multiples of the reference's for the same picture, operation and threads."""
    times = summarise_times(results.times)
    references = {
        (one.set, one.picture, one.operation, one.threads): one.median for one in times if one.codec == REFERENCE
    }
    found = {}
    for one in times:
        reference = references.get((one.set, one.picture, one.operation, one.threads))
        if one.codec == codec and reference:
            found[f"{one.set}, {one.operation}, {one.threads} threads"] = one.median / reference
    return found


def environment_changes(old: Results, new: Results) -> list[str]:
    """Versions that differ, since a new version of a package may be what changed a figure."""
    versions: list[dict[str, set[str]]] = [{}, {}]
    for found, results in zip(versions, (old, new), strict=True):
        for environment in results.environments():
            facts = dict(environment["versions"])
            if "model_id" in environment:
                facts["weights"] = f"{environment['model']} {environment['model_id']}"
            for package, version in facts.items():
                found.setdefault(package, set()).add(version)
    before, after = versions
    return [
        f"{name}: {', '.join(sorted(before.get(name, {'none'})))}, now {', '.join(sorted(after.get(name, {'none'})))}"
        for name in sorted(set(before) | set(after))
        if before.get(name) != after.get(name)
    ]


def worse(changes: Sequence[SetChange], tolerance: float, tolerance_picture: float) -> list[str]:
    """Everything beyond the tolerances, a line each; a picture that is gone counts, since nobody knows how it would be now."""
    found = []
    for change in changes:
        for window, value in change.windows.items():
            if value is not None and value > tolerance:
                found.append(f"{change.name}, {window} window: {signed(value, 2)} %")
        for picture, value in change.pictures.items():
            if value > tolerance_picture:
                found.append(f"{change.name}, {picture}: {signed(value, 2)} %")
        found += [f"{change.name}, {picture}: not measured any more" for picture in change.gone]
    return found


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VaecodecError as error:
        sys.exit(f"bench.show.compare: {error}")
