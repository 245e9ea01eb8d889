"""Options that several commands take."""

from typing import Annotated

import typer

Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a parameter; groups are dotted.", show_default=False),
]
