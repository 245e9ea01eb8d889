"""The same pictures as they come: raw, or with one history for both classes, so that only the edit can tell them."""

from typing import Final, Literal

from PIL import Image

from forgery.histories import MATCHED, Save, saved

__all__ = ["HARMONISED", "MATCHED", "RAW", "SHARED", "VIEWS", "View", "in_view"]

View = Literal["raw", "harmonised", "matched", "shared"]

RAW: Final = "raw"
HARMONISED: Final = "harmonised"
SHARED: Final = "shared"
VIEWS: Final[dict[str, str]] = {
    RAW: "the files as they are: mostly file history",
    HARMONISED: "both classes decoded and saved at quality 90: history still readable as ghosts",
    MATCHED: "authentic pictures first through the saves of forged ones, then both harmonised: only the edit differs",
    SHARED: "both at quality 75, halved, quality 85: what survives messengers",
}


def in_view(view: str, picture: Image.Image, first: Save | None = None) -> Image.Image:
    """A decoded picture as a view shows it, mode RGB.

    Args:
        view: One of `VIEWS`.
        picture: The pixels of the file.
        first: In `matched`, the save of a forged file that an authentic picture is put through first; ignored in the
            other views.
    """
    if view == RAW:
        return picture
    if view == SHARED:
        half = max(1, picture.width // 2), max(1, picture.height // 2)
        return saved(saved(picture, quality=75).resize(half, Image.Resampling.LANCZOS), quality=85)
    if view == MATCHED and first is not None:
        picture = first.apply(picture)
    return saved(picture, quality=90)
