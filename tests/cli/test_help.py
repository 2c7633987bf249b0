"""Help: named sections, one style of defaults, summaries that are not cut, and names that complete. tests/test_docs.py runs the examples."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from vaecodec.cli import COMMANDS, main, vaecodec
from vaecodec.cli.help import Command
from vaecodec.models.tunes import TUNES
from vaecodec.version import RELEASED, __version__

PAGES = [[], *([name] for name in COMMANDS), ["train", "--family", "vae"]]


@pytest.fixture
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def command(name: str) -> Command:
    found = vaecodec.get_command(click.Context(vaecodec), name)
    assert isinstance(found, Command)
    return found


@pytest.mark.usefixtures("eighty_columns")
@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_the_help_fits_a_page_and_has_examples(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 100
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("  vaecodec ") for line in lines[lines.index("Examples:") :])


@pytest.mark.usefixtures("eighty_columns")
def test_every_command_is_listed_with_a_summary_that_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in COMMANDS:
        line = next(line for line in text.splitlines() if line.startswith(f"  {name} "))
        assert line.endswith(".") and not line.endswith("...")


@pytest.mark.parametrize("words", PAGES[1:], ids=" ".join)
def test_every_option_stands_in_a_section_that_names_only_options_that_there_are(words: list[str]) -> None:
    found = command(words[0])
    context = found.make_context(words[0], [*words[1:], "--help"], resilient_parsing=True)
    options = {p.name for p in found.get_params(context) if isinstance(p, click.Option) and "--help" not in p.opts}
    named = [name for names in found.sections.values() for name in names]
    assert len(named) == len(set(named))
    assert set(named) in (set(), options)


@pytest.mark.parametrize("words", PAGES[1:], ids=" ".join)
def test_defaults_have_one_style(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main([*words, "--help"])
    options = capsys.readouterr().out.partition("Examples:")[0]
    brackets = re.findall(r"(?<!vaecodec)\[([^\]]*)\]", options.partition("\n")[2])
    assert all(re.match(r"default:\s|required$|N, d$", text) for text in brackets), brackets


def test_the_default_quality_is_that_of_the_models(capsys: pytest.CaptureFixture[str]) -> None:
    main(["compress", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, tune in TUNES.items():
        assert f"{tune.quality:g} with {name}" in text


def test_the_version_has_a_short_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-V"]) == 0
    assert capsys.readouterr().out.startswith(f"vaecodec {__version__}")


def test_names_complete_as_the_help_says(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    assert "_VAECODEC_COMPLETE=bash_source vaecodec" in capsys.readouterr().out

    def complete(*words: str) -> list[str]:
        code = "from vaecodec.__main__ import main; raise SystemExit(main())"
        environment = {
            "_VAECODEC_COMPLETE": "zsh_complete", "COMP_WORDS": "vaecodec " + " ".join(words),
            "COMP_CWORD": str(len(words)), "PATH": "/usr/bin:/bin",
        }  # fmt: skip
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    assert "compress" in complete("comp")
    assert "--quality" in complete("compress", "--q")
    assert complete("compress", "hol")[:2] == ["file", "hol"]


def test_the_version_is_unreleased_as_long_as_the_changelog_says_so() -> None:
    changelog = (Path(__file__).parents[2] / "CHANGELOG.md").read_text()
    assert f"## {__version__}{'' if RELEASED else ' (unreleased)'}\n" in changelog
