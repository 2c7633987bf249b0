from __future__ import annotations

from pathlib import Path

import pytest

from bench.measure.rows import (
    Journal,
    QualityTable,
    append_time,
    find_tables,
    journal_of,
    read_table,
    read_times,
    write_table,
)
from vaecodec.errors import UsageError

from .conftest import ENVIRONMENT, OUR_ENVIRONMENT, quality_rows, time_row


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "val.tsv.gz"
    rows = quality_rows("vaecodec", 0.5)
    write_table(path, QualityTable(rows, [ENVIRONMENT, OUR_ENVIRONMENT]))
    table = read_table(path)
    assert [(row.key, row.bytes, row.psnr, row.estimate) for row in table.rows] == sorted(
        (row.key, row.bytes, row.psnr, row.estimate) for row in rows
    )
    # The environment that no row points to is gone, and the rows still point to theirs.
    assert table.environments == [OUR_ENVIRONMENT]
    assert {row.environment for row in table.rows} == {0}


def test_the_same_rows_give_the_same_file_whatever_their_order(tmp_path: Path) -> None:
    rows = quality_rows("jpeg", 1.0)
    for name, ordered in (("a", rows), ("b", rows[::-1])):
        write_table(tmp_path / name, QualityTable(list(ordered), [ENVIRONMENT, OUR_ENVIRONMENT]))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_journal_cut_in_the_middle_of_a_line_is_read_up_to_there_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "val.tsv.gz"
    rows = quality_rows("jpeg", 1.0)
    journal = Journal(path, [ENVIRONMENT])
    journal.append(rows[0])
    journal.append(rows[1])
    journal.close()
    with journal_of(path).open("a") as file:
        file.write("jpeg\t20\thalf a li")
    assert len(read_table(path).rows) == 2
    journal = Journal(path, [ENVIRONMENT, OUR_ENVIRONMENT])
    journal.append(quality_rows("vaecodec", 0.5)[0])
    journal.close()
    table = read_table(path)
    assert [row.codec for row in table.rows] == ["jpeg", "jpeg", "vaecodec"]
    assert table.environments[table.rows[2].environment] == OUR_ENVIRONMENT
    write_table(path, table)
    assert not journal_of(path).exists()


def test_a_later_row_replaces_an_earlier_one(tmp_path: Path) -> None:
    first, other = quality_rows("jpeg", 1.0)[0], quality_rows("jpeg", 2.0)[0]
    write_table(tmp_path / "t", QualityTable([first, other], [ENVIRONMENT]))
    assert [row.bytes for row in read_table(tmp_path / "t").rows] == [other.bytes]


def test_times_keep_the_last_row_of_each_kind(tmp_path: Path) -> None:
    path = tmp_path / "time.jsonl"
    for seconds in ((1.0, 2.0), (3.0,)):
        append_time(path, time_row("jpeg", "decode", seconds))
    append_time(path, time_row("jpeg", "decode", (5.0,), 2))
    with path.open("a") as file:
        file.write('{"codec": "half a li')
    assert [row.seconds for row in read_times(path)] == [(3.0,), (5.0,)]


def test_what_is_no_table_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no results"):
        find_tables(tmp_path)
    (tmp_path / "time.jsonl").write_text("[1]\n")
    with pytest.raises(UsageError, match="rows of time"):
        read_times(tmp_path / "time.jsonl")
