"""What a run measures, as rows, and the files that they are kept in.

Rows of rate and quality lie in one compressed table per set of pictures, preceded by the environments (versions, machine) that
they were measured in. While a run goes on, new rows are appended to a plain journal beside the table, so that a run that was
stopped goes on where it was; at its end the journal is merged into the table.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from vaecodec.errors import UsageError

Environment = Mapping[str, Any]

TABLE_ENDING = ".tsv.gz"
JOURNAL_ENDING = ".journal"
TIMES_FILE = "time.jsonl"
SIZES_FILE = "size.jsonl"


@dataclass(frozen=True)
class QualityRow:
    """One picture at one setting of one codec.

    Attributes:
        codec: the codec's key.
        setting: its setting of quality.
        picture: the picture's file name.
        width: in samples.
        height: in samples.
        bytes: size of the file.
        estimate: bytes that the codec's model expects, or None where it has no model.
        psnr: RGB PSNR in dB; infinity where lossless.
        ms_ssim: RGB MS-SSIM, or None where not measured.
        ssimulacra2: its score, at most 100, or None where not measured.
        encode_seconds: samples to bytes, once, for orientation.
        decode_seconds: bytes to samples, once, for orientation.
        peak_mb: largest resident set of the process while it encoded and decoded, in MB of 10⁶ bytes.
        threads: threads that the codec was allowed.
        environment: index into the table's environments.
    """

    codec: str
    setting: float
    picture: str
    width: int
    height: int
    bytes: int
    estimate: float | None
    psnr: float
    ms_ssim: float | None
    ssimulacra2: float | None
    encode_seconds: float
    decode_seconds: float
    peak_mb: float
    threads: int
    environment: int

    @property
    def bpp(self) -> float:
        """Rate of the file in bits per pixel."""
        return 8 * self.bytes / (self.width * self.height)

    @property
    def key(self) -> tuple[str, float, str]:
        """What makes a row the only one of its kind."""
        return (self.codec, self.setting, self.picture)


@dataclass
class QualityTable:
    """The rows of one set of pictures, and the environments that they point to."""

    rows: list[QualityRow]
    environments: list[Environment]

    def index_of(self, environment: Environment) -> int:
        """Index of an environment, which is added where it is new."""
        if environment not in self.environments:
            self.environments.append(environment)
        return self.environments.index(environment)

    def latest(self) -> QualityTable:
        """The same without rows that a later one replaces and without environments that no row uses, in a fixed order."""
        last = {row.key: row for row in self.rows}
        ordered = [last[key] for key in sorted(last)]
        used = sorted({row.environment for row in ordered})
        place = {old: new for new, old in enumerate(used)}
        rows = [QualityRow(**(asdict(row) | {"environment": place[row.environment]})) for row in ordered]
        return QualityTable(rows, [self.environments[index] for index in used])


@dataclass(frozen=True)
class TimeRow:
    """Repeated runs of one operation of one codec in a process of its own.

    Attributes:
        codec: the codec's key.
        setting: its setting of quality.
        operation: ``encode`` or ``decode``.
        picture: name of the picture.
        set: name of the folder that it came from.
        width: in samples.
        height: in samples.
        bytes: size of the file.
        psnr: of the decoded file in dB, or None where the weights are random.
        threads: threads that the codec was allowed.
        round: 1, 2, ...: the whole series is run several times, so that the spread between series shows too.
        seconds: wall clock of every repeat after the warm-up.
        peak_mb: largest resident set of the process, in MB of 10⁶ bytes.
        base_mb: resident set after imports and loading, before the first operation.
        environment: versions and machine.
        note: what a reader has to know, or empty.
    """

    codec: str
    setting: float
    operation: str
    picture: str
    set: str
    width: int
    height: int
    bytes: int
    psnr: float | None
    threads: int
    round: int
    seconds: tuple[float, ...]
    peak_mb: float
    base_mb: float
    environment: Environment
    note: str = ""

    @property
    def key(self) -> tuple[str, float, str, str, str, int, int]:
        """What makes a row the only one of its kind."""
        return (self.codec, self.setting, self.operation, self.set, self.picture, self.threads, self.round)

    @property
    def megapixels(self) -> float:
        """Size of the picture."""
        return self.width * self.height / 1e6


# Digits that are kept: more than any figure that is shown, few enough to compress well.
_DIGITS = {
    "psnr": 4,
    "ms_ssim": 6,
    "ssimulacra2": 3,
    "encode_seconds": 4,
    "decode_seconds": 4,
    "peak_mb": 0,
    "estimate": 1,
}


def read_table(path: Path) -> QualityTable:
    """Reads a table, and its journal where there is one; empty where there is neither.

    Raises:
        UsageError: the file is not such a table.
    """
    table = QualityTable([], [])
    if path.exists():
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            _read_into(table, file, path)
    journal = journal_of(path)
    if journal.exists():
        with journal.open(encoding="utf-8", newline="") as file:
            _read_into(table, file, journal)
    return table


def _read_into(table: QualityTable, lines: Iterable[str], path: Path) -> None:
    """Adds rows; indices of environments in one file count from that file's own first environment."""
    environments: list[int] = []
    columns: list[str] = []
    try:
        for line in lines:
            if not line.endswith("\n"):
                continue  # The last line of a run that was stopped while it wrote.
            if line.startswith("#"):
                environments.append(table.index_of(json.loads(line[1:])))
            elif not columns:
                columns = line.rstrip("\n").split("\t")
            else:
                values = dict(zip(columns, line.rstrip("\n").split("\t"), strict=True))
                table.rows.append(_parse(values, environments))
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise UsageError(f"{path}: not a table of measurements: {error}") from error


def _parse(values: Mapping[str, str], environments: Sequence[int]) -> QualityRow:
    def number(name: str) -> float | None:
        return float(values[name]) if values[name] else None

    return QualityRow(
        codec=values["codec"],
        setting=float(values["setting"]),
        picture=values["picture"],
        width=int(values["width"]),
        height=int(values["height"]),
        bytes=int(values["bytes"]),
        estimate=number("estimate"),
        psnr=float(values["psnr"]),
        ms_ssim=number("ms_ssim"),
        ssimulacra2=number("ssimulacra2"),
        encode_seconds=float(values["encode_seconds"]),
        decode_seconds=float(values["decode_seconds"]),
        peak_mb=float(values["peak_mb"]),
        threads=int(values["threads"]),
        environment=environments[int(values["environment"])],
    )


def _format(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        if math.isfinite(value) and name in _DIGITS:
            return f"{value:.{_DIGITS[name]}f}"
        return f"{value:g}"
    return str(value)


def _line(row: QualityRow) -> str:
    return "\t".join(_format(name, value) for name, value in asdict(row).items()) + "\n"


def _head(environments: Sequence[Environment]) -> str:
    lines = [f"#{json.dumps(environment, sort_keys=True)}\n" for environment in environments]
    return "".join(lines) + "\t".join(field.name for field in fields(QualityRow)) + "\n"


def table_text(table: QualityTable) -> str:
    """The table as text: environments, column names, rows."""
    return _head(table.environments) + "".join(map(_line, table.rows))


def write_table(path: Path, table: QualityTable) -> None:
    """Writes the table, the same bytes for the same rows, and removes the journal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(path.name + ".new")
    new.write_bytes(gzip.compress(table_text(table.latest()).encode(), compresslevel=9, mtime=0))
    new.replace(path)
    journal_of(path).unlink(missing_ok=True)


def journal_of(path: Path) -> Path:
    """The journal beside a table."""
    return path.with_name(path.name + JOURNAL_ENDING)


class Journal:
    """Appends rows to the journal of a table, whole lines at once, as they are measured."""

    def __init__(self, path: Path, environments: Sequence[Environment]) -> None:
        """Opens the journal.

        Args:
            path: of the table.
            environments: those that the rows to come point to.
        """
        journal = journal_of(path)
        journal.parent.mkdir(parents=True, exist_ok=True)
        if journal.exists():
            # What is there is read and written anew: it may end in half a line, or know fewer environments.
            table = QualityTable([], list(environments))
            with journal.open(encoding="utf-8", newline="") as file:
                _read_into(table, file, journal)
            journal.write_text(table_text(table), encoding="utf-8", newline="")
        else:
            journal.write_text(_head(environments), encoding="utf-8", newline="")
        self._file = journal.open("a", encoding="utf-8", newline="")

    def append(self, row: QualityRow) -> None:
        """Writes one row to disk."""
        self._file.write(_line(row))
        self._file.flush()

    def close(self) -> None:
        """Closes the journal; it stays until the table is written."""
        self._file.close()


def read_times(path: Path) -> list[TimeRow]:
    """Reads rows of time, the last of each kind; none where there is no such file.

    Raises:
        UsageError: the file does not hold such rows.
    """
    if not path.exists():
        return []
    rows: dict[object, TimeRow] = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            if not line.endswith("\n"):
                continue
            values = json.loads(line)
            row = TimeRow(**(values | {"seconds": tuple(values["seconds"])}))
            rows[row.key] = row
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path}: does not hold rows of time: {error}") from error
    return list(rows.values())


def append_time(path: Path, row: TimeRow) -> None:
    """Appends one row of time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = asdict(row) | {"seconds": [float(f"{second:.5g}") for second in row.seconds]}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(values, sort_keys=True) + "\n")


def write_times(path: Path, rows: Iterable[TimeRow]) -> None:
    """Writes rows of time in a fixed order in place of what was there."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    for row in sorted(rows, key=lambda row: row.key):
        append_time(new, row)
    if new.exists():
        new.replace(path)
    else:
        path.unlink(missing_ok=True)


def find_tables(folder: Path) -> dict[str, Path]:
    """The tables of a folder of results by the names of their sets, Kodak first.

    Raises:
        UsageError: there is no table in it.
    """
    names = {path.name.removesuffix(JOURNAL_ENDING) for path in folder.glob(f"*{TABLE_ENDING}*")}
    tables = {name.removesuffix(TABLE_ENDING): folder / name for name in sorted(names) if name.endswith(TABLE_ENDING)}
    if not tables:
        raise UsageError(f"{folder}: no results in this folder (files *{TABLE_ENDING})")
    return tables
