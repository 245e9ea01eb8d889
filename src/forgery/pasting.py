"""Fresh forgeries of forged pictures and authentic ones: what was edited in one, pasted into another.

A thousand pictures are few for a network that sees what they show. Objects that people cut, on backgrounds where they
never were, are more of the same kind, which shapes drawn at random are not (docs/detection.md; for detecting objects:
Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation", CVPR 2021).
"""

import math
from typing import Final

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from forgery.last_saves import LastSave
from forgery.variants import PASTED

# How often it is resized, mirrored, blurred at its edge, and saved last as all others of one history are.
_RESIZED, _MIRRORED, _BLURRED, _ALIKE = 0.6, 0.5, 0.7, 0.5
_SCALES: Final = (0.7, 1.35)
_EDGES_PX: Final = (0.5, 1.5)
_LARGEST: Final = 0.95  # part of the host's sides
_LIFT: Final = 0.08  # standard deviation, part of the host's height
_REACH: Final = 4  # authentic pictures among which a host is chosen


def paste(digest: str, picture: Image.Image, mask: Image.Image, host: Image.Image) -> tuple[Image.Image, Image.Image]:
    """Paste the forged region of a picture into another, about as high up as it was, the same way each time.

    Args:
        digest: Of the forged picture, hexadecimal; draws size, place and edge.
        picture: The forged picture, mode RGB.
        mask: Of its size, mode L, above 127 where it was forged.
        host: Mode RGB, any size.

    Returns:
        The new picture, and its mask, mode L, 255 where it was forged; of an empty mask, the old ones.
    """
    mask = mask.point(lambda level: 255 * (level > 127))
    box = mask.getbbox()
    if box is None:
        return picture, mask
    random = np.random.default_rng(int(digest, 16))
    scale = math.exp(random.uniform(*np.log(_SCALES))) if random.random() < _RESIZED else 1.0
    width, height = box[2] - box[0], box[3] - box[1]
    scale = min(scale, _LARGEST * host.width / width, _LARGEST * host.height / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    region = picture.resize(size, Image.Resampling.BICUBIC, box)
    shape = mask.resize(size, Image.Resampling.NEAREST, box)
    if random.random() < _MIRRORED:
        region, shape = ImageOps.mirror(region), ImageOps.mirror(shape)
    centre = (box[1] + box[3]) / 2 / picture.height + random.normal(0, _LIFT)
    top = min(max(0, round(centre * host.height - size[1] / 2)), host.height - size[1])
    place = int(random.integers(host.width - size[0] + 1)), top
    marked, laid = Image.new("L", host.size), host.copy()
    marked.paste(shape, place)
    laid.paste(region, place)
    edge_px = random.uniform(*_EDGES_PX) if random.random() < _BLURRED else 0.0
    share = marked.filter(ImageFilter.GaussianBlur(edge_px)) if edge_px else marked
    return Image.composite(laid, host, share), marked


def steps_to_host(digest: str) -> int:
    """Which of the authentic pictures that follow the one of that digest is its host, 1 for the next.

    Digests have nothing to do with what pictures show, so their order is random; not always the next one, lest several
    neighbours have the same host.
    """
    return 1 + int(digest[-1], 16) % _REACH


def last_save(digest: str, size_px: tuple[int, int]) -> LastSave:
    """How what was pasted from the picture of that digest is saved last: as all others are, or as is drawn."""
    alike = np.random.default_rng([int(digest, 16), 1]).random() < _ALIKE
    return LastSave() if alike else LastSave.drawn(f"{digest}-{PASTED}", size_px)
