"""Write `docs/reference/commands.md` from the command line's own help."""

from collections.abc import Iterator

import typer
from rich.text import Text
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from tools.markdown import NOTICE, table_cell


def commands_page() -> str:
    """Every command of `forgery` with its arguments and options."""
    from cli.__main__ import app

    head = "# Commands\n\nEvery command explains itself with `--help`, with examples.\n"
    return NOTICE + head + "".join(_sections(typer.main.get_group(app), "forgery"))


def _sections(command: TyperCommand | TyperGroup, path: str) -> Iterator[str]:
    if not isinstance(command, TyperGroup):
        yield _section(command, path)
        return
    for name, child in command.commands.items():
        if isinstance(child, TyperCommand | TyperGroup) and not child.hidden:
            yield from _sections(child, f"{path} {name}")


def _section(command: TyperCommand | TyperGroup, path: str) -> str:
    arguments = "".join(f" {str(each.name).upper()}" for each in command.params if isinstance(each, TyperArgument))
    options = [each for each in command.params if isinstance(each, TyperOption) and not each.hidden]
    purpose = _plain((command.help or "").strip().split("\n\n")[0])
    table = "".join(f"| {_names(option)} | {table_cell(_plain(option.help or ''))} |\n" for option in options)
    head = "\n| option | meaning |\n|---|---|\n" if options else ""
    return f"\n## {path}\n\n{purpose}\n\n```\n{path}{arguments}\n```\n{head}{table}"


def _names(option: TyperOption) -> str:
    return ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])


def _plain(text: str) -> str:
    return " ".join(Text.from_markup(text).plain.split())
