"""Self-matching: regions of a picture that repeat under one similarity transform, as a copy-move leaves them.

SIFT keypoints (Lowe 2004) of the picture are matched to themselves with a ratio test; consistent matches give a
similarity transform (translation, rotation, scale); the picture, brought onto itself by it, must then agree pixel
by pixel in a connected region. Keypoints propose, pixels decide: repeated texture passes the first but not the second.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Evidence is computed for one picture per core, in servers and in the ELA step: threads within would only compete.
cv2.setNumThreads(1)

# Pictures are brought to this area first: small ones grow up to twofold, since SIFT finds few keypoints in them, and
# the cost of large ones stays bounded.
_WORK_AREA_PX = 150_000
_MAX_ENLARGEMENT = 2.0
_KEYPOINTS = 2000
_CONTRAST = 0.01  # a quarter of Lowe's .04: copies of smooth regions have faint keypoints
_RATIO = 0.72  # between Lowe's .8 and the .6 that is usual for copy-move, where repeats are many
_LEAST_SECOND = 0.25  # distance of descriptors; below it the second neighbour would forbid exact copies made twice
_NEAR_PX = 16.0  # neighbours nearer than this match by overlap, not by copying
_MIN_MATCHES = 4
_MIN_IN_COMPONENT = 2
_HYPOTHESES = 250
_COARSE_PX, _TRANSLATION_PX, _FINE_PX = 6.0, 3.0, 3.0
_TRANSFORMS = 5
_SCALES = (0.4, 2.5)
_WINDOW_PX = (15, 15)
_AGREEMENT = 0.8
_MAX_BRIGHTNESS_CHANGE = 12.0
_CLOSING = np.ones((9, 9), np.uint8)


@dataclass(frozen=True)
class Link:
    """A region that repeats.

    Attributes:
        here: Its outline, float32 [k, 2]: x and y as parts of the picture's width and height, 0..1.
        there: The outline of its counterpart, point for point; it may reach beyond the picture.
        matches: Keypoints that lie in it.
    """

    here: Floats
    there: Floats
    matches: int


@dataclass(frozen=True)
class SelfMatches:
    """What repeats, at the working size.

    Attributes:
        agreement: Correlation of a pixel's surroundings with those of its counterpart, 0..1; 0 where nothing repeats.
        support: Number of keypoint matches behind it on a logarithmic scale, 0..1 (1 is 255 matches).
        links: The regions, each with its counterpart.
    """

    agreement: Floats
    support: Floats
    links: list[Link] = field(default_factory=list)


@dataclass(frozen=True)
class _Matches:
    """Pairs of keypoints, each in both directions: places [n, 2], scale and rotation from one to the other, [n]."""

    first: Floats
    second: Floats
    scale: Floats
    turn: Floats

    def without(self, used: NDArray[np.bool_]) -> "_Matches":
        """The pairs that are not used in either direction."""
        # Pairs come as two halves, one the reverse of the other.
        half = len(used) // 2
        free = ~(used[:half] | used[half:])
        kept = np.concatenate([free, free])
        return _Matches(self.first[kept], self.second[kept], self.scale[kept], self.turn[kept])


def self_matches(luma: NDArray[np.uint8]) -> SelfMatches:
    """Find repeated regions.

    Args:
        luma: uint8 [h, w].

    Returns:
        Maps float32 [h', w'] of the working size, the same on every call.
    """
    grey = _at_working_size(luma)
    found = SelfMatches(np.zeros(grey.shape, np.float32), np.zeros(grey.shape, np.float32))
    matches = _match(grey)
    for _ in range(_TRANSFORMS):
        if matches is None or len(matches.first) < 2 * _MIN_MATCHES:
            break
        transform, inliers = _consensus(matches)
        if transform is None:
            break
        _verify(grey, transform, matches.first[inliers], found)
        matches = matches.without(inliers)
    return found


def _at_working_size(luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = luma.shape
    factor = min(_MAX_ENLARGEMENT, float(np.sqrt(_WORK_AREA_PX / (height * width))))
    size = max(16, round(width * factor)), max(16, round(height * factor))
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(luma, size, interpolation=interpolation), np.uint8)


def _match(grey: NDArray[np.uint8]) -> _Matches | None:
    detector = cv2.SIFT.create(nfeatures=_KEYPOINTS, contrastThreshold=_CONTRAST)
    keypoints, descriptors = detector.detectAndCompute(grey, None)
    if len(keypoints) < 2 * _MIN_MATCHES:
        return None
    facts = np.array([(*each.pt, each.size, each.angle) for each in keypoints], np.float32)
    # One place can have several orientations; they would be each other's rivals in the ratio test.
    _, distinct = np.unique(facts[:, :2].round(2), axis=0, return_index=True)
    facts, described = facts[distinct], np.asarray(descriptors, np.float32)[distinct]
    first, second = _neighbours(facts[:, :2], _root(described))
    if len(first) < _MIN_MATCHES:
        return None
    ends, others = facts[np.concatenate([first, second])], facts[np.concatenate([second, first])]
    return _Matches(
        ends[:, :2], others[:, :2], others[:, 2] / ends[:, 2], np.deg2rad(others[:, 3] - ends[:, 3]).astype(np.float32)
    )


def _root(descriptors: Floats) -> Floats:
    """RootSIFT (Arandjelović and Zisserman 2012): Euclidean distance becomes Hellinger distance."""
    return np.asarray(np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)), np.float32)


def _neighbours(places: Floats, descriptors: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Keypoints and their nearest neighbours in descriptor space that lie apart and pass the ratio test."""
    similarity = descriptors @ descriptors.T
    squares = np.square(places).sum(axis=1)
    apart = squares[:, None] + squares[None] - 2 * (places @ places.T)
    similarity[apart < _NEAR_PX**2] = -1
    rows = np.arange(len(places))
    nearest = similarity.argmax(axis=1)
    best = similarity[rows, nearest]
    similarity[rows, nearest] = -1
    second = similarity.max(axis=1)
    distance, rival = np.sqrt(np.maximum(0, 2 - 2 * best)), np.sqrt(np.maximum(0, 2 - 2 * second))
    passed = (distance < _RATIO * np.maximum(rival, _LEAST_SECOND)) & (second > -1)
    return rows[passed], nearest[passed]


def _consensus(matches: _Matches) -> tuple[NDArray[np.float64] | None, NDArray[np.bool_]]:
    """The similarity transform most pairs agree on, and those pairs."""
    nobody = np.zeros(len(matches.first), bool)
    agreeing = _largest_agreement(matches)
    if agreeing.sum() < _MIN_MATCHES:
        return None, nobody
    fitted, _ = cv2.estimateAffinePartial2D(
        matches.first[agreeing], matches.second[agreeing], ransacReprojThreshold=_FINE_PX, maxIters=500
    )
    transform = np.asarray(fitted, np.float64)
    if fitted is None or not _SCALES[0] < np.hypot(transform[0, 0], transform[1, 0]) < _SCALES[1]:
        return None, nobody
    off = np.linalg.norm(_moved(matches.first, transform) - matches.second, axis=1)
    inliers = off < _FINE_PX
    return (transform, inliers) if inliers.sum() >= _MIN_MATCHES else (None, nobody)


def _largest_agreement(matches: _Matches) -> NDArray[np.bool_]:
    """Every pair proposes its own similarity transform, and its translation alone; the most agreed with wins."""
    proposers = np.random.default_rng(0).permutation(len(matches.first))[:_HYPOTHESES]
    scale, turn = matches.scale[proposers], matches.turn[proposers]
    cosine = np.concatenate([scale * np.cos(turn), np.ones_like(scale)])
    sine = np.concatenate([scale * np.sin(turn), np.zeros_like(scale)])
    x, y = matches.first.T
    of = np.concatenate([proposers, proposers])
    shift = matches.second[of].T - np.stack([cosine * x[of] - sine * y[of], sine * x[of] + cosine * y[of]])
    off_x = cosine[:, None] * x - sine[:, None] * y + shift[0][:, None] - matches.second[:, 0]
    off_y = sine[:, None] * x + cosine[:, None] * y + shift[1][:, None] - matches.second[:, 1]
    limits = np.repeat([_COARSE_PX**2, _TRANSLATION_PX**2], len(proposers))
    agree = off_x**2 + off_y**2 < limits[:, None]
    # On a tie the translation, which comes second: it has fewer degrees of freedom.
    best = len(agree) - 1 - int(agree.sum(axis=1)[::-1].argmax())
    return np.asarray(agree[best])


def _moved(places: Floats, transform: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(places @ transform[:, :2].T + transform[:, 2])


def _verify(grey: NDArray[np.uint8], transform: NDArray[np.float64], places: Floats, found: SelfMatches) -> None:
    """Add to `found` the regions about `places` where picture and moved picture agree, both ends."""
    if np.linalg.norm(_moved(places, transform) - places, axis=1).mean() < _NEAR_PX:
        return
    size = grey.shape[1], grey.shape[0]
    agreement, agreed = _agreement(grey, transform)
    _, labels = cv2.connectedComponents(cv2.morphologyEx(agreed, cv2.MORPH_CLOSE, _CLOSING))
    columns, rows = np.clip(places.round().astype(int), 0, np.array(size) - 1).T
    counts = np.bincount(labels[rows, columns], minlength=labels.max() + 1)
    counts[0] = 0
    counts[counts < _MIN_IN_COMPONENT] = 0
    if counts.sum() < _MIN_MATCHES:
        return
    region = (counts > 0)[labels].astype(np.float32)
    strength = region * min(1.0, float(np.log2(1 + counts.sum())) / 8)
    found.links.extend(_links(np.asarray(labels, np.int32), counts, transform))
    for target, values in ((found.agreement, region * agreement), (found.support, strength)):
        for end in (values, cv2.warpAffine(values, transform, size)):
            np.maximum(target, end, out=target)


def _links(labels: NDArray[np.int32], counts: NDArray[np.intp], transform: NDArray[np.float64]) -> Iterator[Link]:
    size = np.array(labels.shape[::-1])
    for label in np.flatnonzero(counts):
        outlines, _ = cv2.findContours((labels == label).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        here = np.asarray(max(outlines, key=len)[:, 0], np.float32)
        there = np.asarray(_moved(here, transform) / size, np.float32)
        yield Link(np.asarray(here / size, np.float32), there, int(counts[label]))


def _agreement(grey: NDArray[np.uint8], transform: NDArray[np.float64]) -> tuple[Floats, NDArray[np.uint8]]:
    """Local correlation of the picture with itself moved back, 0..1, and where it is high at equal brightness."""
    here = grey.astype(np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    there = np.asarray(cv2.warpAffine(here, transform, grey.shape[::-1], flags=flags, borderValue=-1.0), np.float32)
    mean_here, mean_there = _local_mean(here), _local_mean(there)
    variance_here = np.maximum(_local_mean(here * here) - mean_here**2, 0)
    variance_there = np.maximum(_local_mean(there * there) - mean_there**2, 0)
    covariance = _local_mean(here * there) - mean_here * mean_there
    # One grey level squared on both sides keeps flat places from dividing noise by noise.
    correlation = (covariance + 1) / np.sqrt((variance_here + 1) * (variance_there + 1))
    agreed = (correlation > _AGREEMENT) & (np.abs(mean_here - mean_there) < _MAX_BRIGHTNESS_CHANGE)
    agreed &= (there >= 0) & (variance_here > 2)
    return np.clip(correlation, 0, 1).astype(np.float32), agreed.astype(np.uint8)


def _local_mean(values: Floats) -> Floats:
    return np.asarray(cv2.boxFilter(values, -1, _WINDOW_PX), np.float32)
