"""The demo data set: forged pictures and authentic partners that only the edit tells apart.

Both of a pair are the same crop, saved once as a camera would, and last at the same quality with the same settings;
the forged one is edited in between. So format, size, quantisation tables and metadata say nothing of the label.
Groups are pairs of photograph regions, one for backgrounds and one for what is pasted in; no region is in two groups.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from forgery.dataset.edits import EDITS
from forgery.dataset.photographs import Region, regions
from forgery.errors import InvalidConfig
from forgery.progress import track
from forgery.writing import whole_folder

MANIFEST: Final = "manifest.csv"
_COLUMNS: Final = ("file", "label", "group", "mask", "manipulation")
_SIDES_PX: Final = (224, 240, 256)
# Enlarged to this shorter side at least, so that crops of one region differ.
_REGION_SIDE_PX: Final = 288
# The background's first save is coarse and its last one fine, as where a picture from the web is edited. What comes
# from elsewhere then keeps detail the background lost, and error levels show it.
_FIRST_QUALITIES: Final = (60, 75)
_LAST_QUALITIES: Final = (95, 98)
# Splices are the commonest forgery, and the one error levels are for.
_MANIPULATIONS: Final = ("splice", "splice", "copy-move", "removal")


@dataclass(frozen=True)
class _Group:
    background: Region
    donor: Region

    @property
    def name(self) -> str:
        return f"{self.background.name}+{self.donor.name}"


@dataclass(frozen=True)
class _Picture:
    encoded: bytes
    label: str
    group: str
    mask: bytes = b""
    manipulation: str = ""


def make_demo(out: Path, pictures: int, seed: int) -> Path:
    """Write a demo data set that can be read as a source: class folders, masks and `manifest.csv` with groups.

    Args:
        out: The folder; it appears whole or not at all.
        pictures: Half of them forged; at least 2.
        seed: Equal seeds give equal bytes.

    Returns:
        `out`.

    Raises:
        SourceError: A package that ships the photographs is not installed.
    """
    if pictures < 2:
        raise InvalidConfig(f"a demo data set has at least 2 pictures, one of each class; got {pictures}")
    with whole_folder(out, MANIFEST) as folder, (folder / MANIFEST).open("w", newline="") as lines:
        for name in ("authentic", "forged", "masks"):
            (folder / name).mkdir()
        rows = csv.DictWriter(lines, _COLUMNS)
        rows.writeheader()
        for number, picture in enumerate(track(_pictures(pictures, seed), pictures, "making demo pictures")):
            file, mask = f"{picture.label}/{number:05d}.jpg", f"masks/{number:05d}.png" if picture.mask else ""
            (folder / file).write_bytes(picture.encoded)
            if mask:
                (folder / mask).write_bytes(picture.mask)
            values = (file, picture.label, picture.group, mask, picture.manipulation)
            rows.writerow(dict(zip(_COLUMNS, values, strict=True)))
    return out


def _pictures(count: int, seed: int) -> Iterator[_Picture]:
    random = np.random.default_rng(seed)
    groups = _groups(random)
    for pair in range((count + 1) // 2):
        authentic, forged = _pair(groups[pair % len(groups)], _MANIPULATIONS[pair % len(_MANIPULATIONS)], random)
        yield authentic
        if 2 * pair + 1 < count:
            yield forged


def _groups(random: np.random.Generator) -> list[_Group]:
    """Pair every region with one of another photograph, at random."""
    left = regions()
    groups = []
    while left:
        background = left.pop(int(random.integers(len(left))))
        others = [region for region in left if region.photograph != background.photograph]
        if not others:
            break
        donor = others[int(random.integers(len(others)))]
        left.remove(donor)
        groups.append(_Group(background, donor))
    return groups


def _pair(group: _Group, manipulation: str, random: np.random.Generator) -> tuple[_Picture, _Picture]:
    size = int(random.choice(_SIDES_PX)), int(random.choice(_SIDES_PX))
    first, last = (int(random.integers(low, high, endpoint=True)) for low, high in (_FIRST_QUALITIES, _LAST_QUALITIES))
    saved = Image.open(io.BytesIO(_jpeg(_crop(group.background, size, random), first))).convert("RGB")
    forged, mask = EDITS[manipulation](saved, _crop(group.donor, size, random), random)
    png = io.BytesIO()
    Image.fromarray(mask).save(png, "PNG")
    return (
        _Picture(_jpeg(saved, last), "authentic", group.name),
        _Picture(_jpeg(forged, last), "forged", group.name, png.getvalue(), manipulation),
    )


def _crop(region: Region, size: tuple[int, int], random: np.random.Generator) -> Image.Image:
    """A crop at a random place of the enlarged region, mirrored or not, a little lighter or darker."""
    scale = max(1.0, _REGION_SIDE_PX / min(region.pixels.size))
    large = region.pixels.resize(
        (round(region.pixels.width * scale), round(region.pixels.height * scale)), Image.Resampling.LANCZOS
    )
    left, top = (int(random.integers(0, whole - part + 1)) for whole, part in zip(large.size, size, strict=True))
    crop = large.crop((left, top, left + size[0], top + size[1]))
    if random.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    gamma = random.uniform(0.8, 1.25)
    return crop.point([round(255 * (level / 255) ** gamma) for level in range(256)] * 3)


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=quality, subsampling="4:2:0")
    return encoded.getvalue()
