"""Help in named sections, in the order in which a reader asks, with examples at the end; tests run the examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from vaecodec.cli.failures import remember_options

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_NAMES_WIDTH = 24
_EXAMPLES = "Examples"
_GENERAL = "General"
_ALL = "Options"


class Option(click.Option):
    """An option whose default stands at the end of its help, as ``[default: …]``, and nothing else does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("show_default", True)
        super().__init__(*args, **kwargs)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The names, and what the option does."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        default = "required" if self.required else self._shown_default(ctx)
        return record[0], f"{self.help or ''}{f'  [{default}]' if default else ''}"

    def _shown_default(self, ctx: click.Context) -> str:
        default = self.show_default if isinstance(self.show_default, str) else self.get_default(ctx, call=False)
        if not self.show_default or (self.is_flag and not self.secondary_opts):
            return ""
        if self.is_flag:
            default = (self.opts if default else self.secondary_opts)[0].lstrip("-")
        if not isinstance(default, (str, int, float)) or default == "":
            return ""
        return f"default: {default:g}" if isinstance(default, float) else f"default: {default}"


class Command(click.Command):
    """A command whose help has sections.

    Args:
        sections: for every title the names of its parameters, in order; those that no section names come last.
        examples: lines of a shell.
        example_mark: what tests/test_docs.py has to know, such as ``needs ray`` or ``not run: WHY``; empty where they simply run.
    """

    def __init__(
        self,
        *args: Any,
        sections: Mapping[str, Sequence[str]] | None = None,
        examples: str = "",
        example_mark: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.sections: Mapping[str, Sequence[str]] = dict(sections or {})
        self.examples, self.example_mark = examples.strip(), example_mark

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; advice names its options from now on."""
        remember_options(self)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # As itself it has click print an empty line.
            raise click.Abort from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options under their titles."""
        records = {
            str(parameter.name): record
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option) and (record := parameter.get_help_record(ctx)) is not None
        }
        sections = {
            title: [records.pop(name) for name in names if name in records] for title, names in self.sections.items()
        }
        sections[_GENERAL if sections else _ALL] = list(records.values())
        write_sections(formatter, sections)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the examples as they are."""
        super().format_epilog(ctx, formatter)
        if self.examples:
            write_examples(formatter, self.examples)


def write_sections(formatter: click.HelpFormatter, sections: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Writes lists of names and explanations under titles, all explanations in one column."""
    names = [len(name) for records in sections.values() for name, _ in records]
    width = max((length for length in names if length <= _NAMES_WIDTH), default=0)
    for title, records in sections.items():
        if records:
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), text) for name, text in records], col_max=width)


def write_examples(formatter: click.HelpFormatter, examples: str) -> None:
    """Writes lines of a shell as they are."""
    with formatter.section(_EXAMPLES):
        formatter.write("".join(f"  {line}\n" for line in examples.splitlines()))


def complete_path(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Completes a path: the shell does it."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]
