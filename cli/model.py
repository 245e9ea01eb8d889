"""`forgery model show`, `verify` and `export`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from forgery.exports import Receipt

app = typer.Typer(help="Look at model bundles.", no_args_is_help=True)
_FORMATS = "saved_model, litert, onnx, triton, openvino, huggingface or space."
Where = Annotated[
    str | None,
    typer.Argument(help="Folder or URI of a bundle; default: the one in service.", show_default=False),
]


@app.command()
def show(bundle: Where = None) -> None:
    """Render a bundle's model card: data, numbers with intervals, limits.

    Example: forgery model show
    """
    from rich.console import Console
    from rich.markdown import Markdown

    from cli.bundles import open_named
    from forgery.bundle import CARD_FILE

    Console().print(Markdown((open_named(bundle).path / CARD_FILE).read_text()))


@app.command()
def verify(bundle: Where = None) -> None:
    """Check every file of a bundle against its digest, load it, and repeat its golden request.

    Example: forgery model verify .forgery/models/<digest>
    """
    from cli.bundles import open_named
    from cli.quiet import load_tensorflow
    from forgery.engine import Engine, able_kinds
    from forgery.golden import check_golden

    opened = open_named(bundle)
    load_tensorflow()
    kinds = able_kinds(opened)
    for kind in kinds:
        check_golden(opened, Engine(opened, kind=kind))
    size = f"{_size_mb(opened.path):.0f} MB"
    typer.echo(
        f"{opened.digest}: files, model and golden request are as sealed ({size}, runs on {' and '.join(kinds)})"
    )


@app.command()
def export(
    to: Annotated[str, typer.Option(help=_FORMATS, show_default=False)],
    out: Annotated[Path, typer.Option(help="A new or empty folder, or an earlier export's.", show_default=False)],
    bundle: Where = None,
    name: Annotated[str, typer.Option(help="What servers and hubs call the model.")] = "forgery",
    push: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Send it to the Hugging Face Hub too, with your own token.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="A repository that --push makes is for everybody.")] = False,
) -> None:
    """Write a bundle as others read it, and prove that their runtime gives the bundle's answers.

    Example: forgery model export --to onnx --out exported
    """
    from cli import space
    from cli.bundles import open_named
    from cli.quiet import load_tensorflow
    from forgery.exports import FORMATS, export_bundle
    from forgery.exports.push import own_token, repository_kind
    from forgery.exports.push import push as send

    # What can be refused at once is not refused after a minute.
    kind, token = (repository_kind(to), own_token()) if push else ("", "")
    opened = open_named(bundle)
    load_tensorflow()
    receipt = export_bundle(opened, to, out, name, {**FORMATS, "space": space.write})
    _tell(receipt, out)
    if push:
        typer.echo(f"sent: {send(out, push, kind, token, public)}")


def _tell(receipt: "Receipt", out: Path) -> None:
    proof = receipt.proof
    largest = max(proof.largest_difference.values())
    asked = "the golden picture" if proof.maps == 1 else f"{proof.maps} maps"
    typer.echo(f"{out}: {receipt.format} of {receipt.bundle}, {_size_mb(out):.1f} MB")
    typer.echo(f"{proof.runtime} gives the bundle's answers on {asked}, off by at most {largest:.0e}")


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
