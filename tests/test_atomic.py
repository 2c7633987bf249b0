from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from vaecodec import atomic
from vaecodec.atomic import write_atomically
from vaecodec.errors import OutputExistsError, UsageError

posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions and links")


@pytest.fixture(params=["as the system has it", "named", "not to be linked"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a test with files without a name, where the system has them, with named ones, and where the first get no name afterwards."""
    if request.param == "named":
        monkeypatch.setattr(atomic, "_open_nameless", lambda *_: None)
    if request.param == "not to be linked":

        def refuse(self: atomic._Scratch, name: Path) -> bool:
            return False

        monkeypatch.setattr(atomic._Scratch, "_link_nameless", refuse)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.usefixtures("kind")
def test_bytes_and_writers_are_written(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"abc")
    write_atomically(str(tmp_path / "b"), lambda file: file.write(b"def") and None)
    assert (tmp_path / "a").read_bytes() == b"abc"
    assert (tmp_path / "b").read_bytes() == b"def"
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.usefixtures("kind")
def test_an_existing_output_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(OutputExistsError, match="exists already"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    write_atomically(path, b"new", overwrite=True)
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a"]


@pytest.mark.usefixtures("kind")
@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failure_in_the_middle_leaves_nothing(tmp_path: Path, failure: type[BaseException], overwrite: bool) -> None:
    path = tmp_path / "a"
    if overwrite:
        path.write_bytes(b"old")

    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise failure

    with pytest.raises(failure):
        write_atomically(path, fail, overwrite=overwrite)
    assert names(tmp_path) == (["a"] if overwrite else [])
    assert not overwrite or path.read_bytes() == b"old"


@pytest.mark.usefixtures("kind")
def test_an_output_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a"

    def write(file: BinaryIO) -> None:
        file.write(b"mine")
        path.write_bytes(b"theirs")

    with pytest.raises(OutputExistsError):
        write_atomically(path, write)
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("taken", [False, True])
def test_a_file_system_without_links_works_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: bool) -> None:
    path = tmp_path / "a"

    def no_links(self: Path, target: Path) -> None:
        if taken:
            path.write_bytes(b"theirs")
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(atomic, "_open_nameless", lambda *_: None)
    monkeypatch.setattr(Path, "hardlink_to", no_links)
    if taken:
        with pytest.raises(OutputExistsError):
            write_atomically(path, b"mine")
    else:
        write_atomically(path, b"mine")
    assert path.read_bytes() == (b"theirs" if taken else b"mine")
    assert names(tmp_path) == ["a"]


@pytest.mark.usefixtures("kind")
def test_time_stamps_are_carried_over(tmp_path: Path) -> None:
    source, path = tmp_path / "source", tmp_path / "a"
    source.write_bytes(b"")
    os.utime(source, ns=(1_000_000_000_000_000_000, 1_100_000_000_000_000_000))
    write_atomically(path, b"abc", times_from=source)
    assert path.stat().st_mtime_ns == 1_100_000_000_000_000_000


@pytest.mark.usefixtures("kind")
def test_a_writer_may_take_the_name_of_the_file_apart(tmp_path: Path) -> None:
    """As ``tifffile`` does: a file opened by its descriptor has a number for a name."""
    names_seen: list[tuple[str, str]] = []
    write_atomically(tmp_path / "a", lambda file: names_seen.append(os.path.split(file.name)))
    assert [folder for folder, _ in names_seen] == [str(tmp_path)]


@posix
@pytest.mark.usefixtures("kind")
def test_permissions_are_those_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@posix
@pytest.mark.usefixtures("kind")
def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to("target")
    write_atomically(link, b"new", overwrite=True)
    assert link.is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


@posix
def test_a_device_is_written_to_and_not_replaced() -> None:
    write_atomically("/dev/null", b"abc")
    write_atomically("/dev/null", b"abc", overwrite=True)
    assert Path("/dev/null").is_char_device()


def test_folders_are_no_outputs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        write_atomically(tmp_path, b"", overwrite=True)
    with pytest.raises(UsageError, match="no such folder"):
        write_atomically(tmp_path / "none" / "a", b"")


WRITES_FOR_EVER = """
import itertools, sys
from vaecodec.atomic import write_atomically
print("ready", flush=True)
for number in itertools.count():
    def write(file, number=number):
        for _ in range(64):
            file.write(bytes([number % 256]) * 4096)
            file.flush()
    write_atomically(sys.argv[1], write, overwrite=True)
"""


def test_killed_at_any_point_it_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    seen = set()
    for number in range(8):
        child = subprocess.Popen([sys.executable, "-c", WRITES_FOR_EVER, str(path)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(0.003 + 0.011 * number)
        child.kill()
        child.wait()
        child.stdout.close()
        content = path.read_bytes()
        assert content == b"old" or (len(content) == 64 * 4096 and len(set(content)) == 1)
        seen.add(content[:1])
    # It was killed in the middle of something.
    assert len(seen) > 1
    assert [left for left in tmp_path.iterdir() if left != path and not left.name.startswith(".vaecodec-")] == []


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="the system has no files without a name")
def test_killed_while_it_writes_it_leaves_nothing(tmp_path: Path) -> None:
    nameless = atomic._open_nameless(tmp_path / "b")
    if nameless is None:
        pytest.skip("this file system has no files without a name")
    nameless.close()
    program = """
import os, signal, sys
from vaecodec.atomic import write_atomically
def write(file):
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
write_atomically(sys.argv[1], write)
"""
    child = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a")], check=False)
    assert child.returncode == -signal.SIGKILL
    assert names(tmp_path) == []
