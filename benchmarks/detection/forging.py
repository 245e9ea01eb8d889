"""Fresh forgeries from authentic pictures: training material on which both classes went through the same saves.

Splices of large and small regions, copy-moves with rotation and scale, inpainting and retouching. Shapes, sizes and
strengths are drawn; edges are hard or blurred, as editors leave them.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Mask = NDArray[np.uint8]
Random = np.random.Generator
Forgery = tuple[Pixels, Mask]
Size = tuple[int, int]  # height, width
Point = tuple[float, float]

# Part of the picture an edit covers; drawn evenly on a logarithmic scale.
_AREAS = {"splice": (0.01, 0.35), "copy-move": (0.008, 0.15), "inpainting": (0.01, 0.1), "retouching": (0.01, 0.15)}
# A splice one time in two: the other kinds have half of the pictures in common data sets.
_KINDS = ("splice", "splice", "splice", "copy-move", "copy-move", "inpainting", "retouching")
_ATTEMPTS = 20


def forge(host: Pixels, donor: Pixels, random: Random) -> tuple[Pixels, Mask, str]:
    """Edit a picture.

    Args:
        host: uint8 RGB [h, w, 3].
        donor: Where a splice is taken from, uint8 RGB of any size.
        random: Draws kind, shape, place and strength.

    Returns:
        The edited picture, its mask (1 where edited, uint8 [h, w]) and the kind of edit.
    """
    height, width = host.shape[:2]
    kind = _KINDS[random.integers(len(_KINDS))]
    if kind == "copy-move" and (moved := _copy_move(host, random)) is not None:
        return *moved, kind
    if kind in ("inpainting", "retouching"):
        mask = region((height, width), _AREAS[kind], random)
        edited = _RETOUCHES[random.integers(1, len(_RETOUCHES)) if kind == "retouching" else 0](host, mask, random)
        return _pasted(host, edited, mask, random), mask, kind
    mask = region((height, width), _AREAS["splice"], random)
    return _pasted(host, _fitted(donor, (height, width), random), mask, random), mask, "splice"


def region(size: Size, areas: Point, random: Random) -> Mask:
    """A polygon, an ellipse or a ragged blob that covers a part between `areas` of the picture; [h, w], 0 or 1."""
    height, width = size
    side = np.sqrt(np.exp(random.uniform(*np.log(areas))) * height * width)
    aspect = np.exp(random.normal(0, 0.35))
    across = float(np.clip(side * aspect, min(10, width), width * 0.9))
    down = float(np.clip(side / aspect, min(10, height), height * 0.9))
    centre = random.uniform(across / 2, width - across / 2), random.uniform(down / 2, height - down / 2)
    shape = (_polygon, _ellipse, _blob)[random.integers(3)]
    mask = shape((height, width), centre, (across, down), random)
    return mask if mask.any() else _ellipse((height, width), centre, (across, down), random)


def _polygon(size: Size, centre: Point, sides: Point, random: Random) -> Mask:
    angles = np.sort(random.uniform(0, 2 * np.pi, random.integers(5, 12)))
    reach = random.uniform(0.55, 1.1, len(angles))[:, None] * np.array(sides) / 2
    corners = np.array(centre) + reach * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.asarray(cv2.fillPoly(np.zeros(size, np.uint8), [corners.round().astype(np.int32)], (1,)), np.uint8)


def _ellipse(size: Size, centre: Point, sides: Point, random: Random) -> Mask:
    place, half = (round(centre[0]), round(centre[1])), (max(1, round(sides[0] / 2)), max(1, round(sides[1] / 2)))
    canvas = np.zeros(size, np.uint8)
    return np.asarray(cv2.ellipse(canvas, place, half, float(random.uniform(0, 180)), 0, 360, (1,), -1), np.uint8)


def _blob(size: Size, centre: Point, sides: Point, random: Random) -> Mask:
    noise = cv2.GaussianBlur(random.normal(size=size).astype(np.float32), (0, 0), max(3.0, min(sides) / 8))
    rows, columns = np.mgrid[: size[0], : size[1]]
    inside = 1 - ((columns - centre[0]) / (sides[0] / 2)) ** 2 - ((rows - centre[1]) / (sides[1] / 2)) ** 2
    ragged = (2 * inside + 0.8 * noise / max(float(np.std(noise)), 1e-6) > 0.3).astype(np.uint8)
    count, labels, facts, _ = cv2.connectedComponentsWithStats(ragged)
    largest = 1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA])) if count > 1 else 1
    return np.asarray(np.asarray(labels) == largest, np.uint8)


def _fitted(donor: Pixels, size: Size, random: Random) -> Pixels:
    """The donor resized, turned and recoloured at random, at a random place of its own, repeated to fill the size."""
    if random.random() < 0.6:
        factor = float(np.exp(random.uniform(-0.6, 0.5)))
        sides = max(8, round(donor.shape[1] * factor)), max(8, round(donor.shape[0] * factor))
        donor = np.asarray(cv2.resize(donor, sides, interpolation=cv2.INTER_CUBIC), np.uint8)
    if random.random() < 0.2:
        turn = cv2.getRotationMatrix2D((donor.shape[1] / 2, donor.shape[0] / 2), float(random.uniform(-30, 30)), 1.0)
        border = cv2.BORDER_REFLECT
        donor = np.asarray(cv2.warpAffine(donor, turn, donor.shape[1::-1], borderMode=border), np.uint8)
    offsets = random.integers(donor.shape[0]), random.integers(donor.shape[1])
    donor = np.roll(donor, offsets, axis=(0, 1))
    filled = np.tile(donor, (size[0] // donor.shape[0] + 1, size[1] // donor.shape[1] + 1, 1))[: size[0], : size[1]]
    if random.random() < 0.4:
        recoloured = filled * random.uniform(0.8, 1.2) + random.uniform(-15, 15)
        filled = recoloured.clip(0, 255).astype(np.uint8)
    return np.asarray(filled, np.uint8)


def _copy_move(host: Pixels, random: Random) -> Forgery | None:
    """A region pasted elsewhere, one time in four turned or resized; None where no place was found for it."""
    height, width = host.shape[:2]
    for _ in range(_ATTEMPTS):
        source = region((height, width), _AREAS["copy-move"], random)
        rows, columns = np.nonzero(source)
        turn = float(random.uniform(-40, 40)) if random.random() < 0.25 else 0.0
        scale = float(random.uniform(0.7, 1.4)) if random.random() < 0.25 else 1.0
        transform = cv2.getRotationMatrix2D((float(columns.mean()), float(rows.mean())), turn, scale)
        move = random.integers(-width // 2, width // 2 + 1), random.integers(-height // 2, height // 2 + 1)
        transform[:, 2] += move
        mask = np.asarray(cv2.warpAffine(source, transform, (width, height), flags=cv2.INTER_NEAREST), np.uint8)
        kept = mask.sum() >= 0.6 * source.sum() * scale**2
        if kept and mask.any() and np.hypot(*move) > 0.8 * np.sqrt(source.sum()):
            moved = np.asarray(cv2.warpAffine(host, transform, (width, height), flags=cv2.INTER_CUBIC), np.uint8)
            return _pasted(host, moved, mask, random), mask
    return None


def _inpainted(host: Pixels, mask: Mask, random: Random) -> Pixels:
    method = (cv2.INPAINT_TELEA, cv2.INPAINT_NS)[random.integers(2)]
    return np.asarray(cv2.inpaint(host, mask, 3, method), np.uint8)


def _smoothed(host: Pixels, mask: Mask, random: Random) -> Pixels:
    return np.asarray(cv2.GaussianBlur(host, (0, 0), float(random.uniform(0.8, 3))), np.uint8)


def _without_grain(host: Pixels, mask: Mask, random: Random) -> Pixels:
    return np.asarray(cv2.medianBlur(host, 5), np.uint8)


_RETOUCHES: tuple[Callable[[Pixels, Mask, Random], Pixels], ...] = (_inpainted, _smoothed, _without_grain)


def _pasted(host: Pixels, edited: Pixels, mask: Mask, random: Random) -> Pixels:
    share = mask.astype(np.float32)
    if random.random() < 0.6:
        share = np.asarray(cv2.GaussianBlur(share, (0, 0), float(random.uniform(0.6, 2.5))), np.float32)
    mixed = host * (1 - share[..., None]) + edited * share[..., None]
    return mixed.round().clip(0, 255).astype(np.uint8)
