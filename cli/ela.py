"""`forgery ela`: look at the evidence of one picture."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("ela")(ela)


def ela(
    file: Annotated[Path, typer.Argument(help="A picture: JPEG, PNG, WebP, TIFF or BMP.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG to write.")],
    recipe: Annotated[
        str | None, typer.Option(help="Recipe by name; default: full size, quality 90, gain 15.", show_default=False)
    ] = None,
) -> None:
    """Write the error level analysis of a picture as PNG.

    Bright regions changed more when the picture was saved once more as JPEG: evidence to look at, not a verdict.

    For example:

      forgery ela photo.jpg -o ela.png

      forgery ela photo.jpg -o model-input.png --recipe ela1_q90_gain15_224_bilinear
    """
    import io

    from cli.files import read_picture, write_atomically
    from forgery.evidence import encode_map
    from forgery.picture import decode
    from forgery.recipes import evidence, parse_recipe
    from forgery.recipes.ela import ElaRecipe, error_level

    encoded = read_picture(file)
    if recipe is not None:
        write_atomically(out, encode_map(evidence(encoded, parse_recipe(recipe))))
        return
    gain = ElaRecipe().gain or 1
    picture = error_level(decode(encoded), ElaRecipe().qualities[0]).point(lambda level: min(255, level * gain))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    write_atomically(out, buffer.getvalue())
