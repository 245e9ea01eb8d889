"""The golden request of a bundle: a generated picture and the answers the sealed model gave to it.

golden/
  picture.jpg    a generated picture with an edited patch; its bytes, not its maker, are what counts
  evidence.npz   `evidence`: uint8, the recipe's shape
  golden.json    the expected probability, mean of the activation map, and the recipe

Checking it proves in one stroke that this machine's decoder, resizer and runtime give what training saw, and that
weights, temperature and recipe belong together.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict

from forgery.bundle import GOLDEN, Bundle
from forgery.engine import ACTIVATION_MAP, OUTPUTS, PROBABILITY, Engine, Predictions
from forgery.errors import BundleError, ForgeryError
from forgery.recipes import Evidence, Recipe, evidence

PICTURE_FILE = "picture.jpg"
EVIDENCE_FILE = "evidence.npz"
EXPECTED_FILE = "golden.json"
# Other CPUs order float additions differently, about 1e-6 on a probability; other weights move it far more.
TOLERANCE = 1e-4
# Part of the evidence that a recipe with a tolerance may round otherwise.
_MOST_DIFFERENT = 0.01
_HEIGHT_PX, _WIDTH_PX = 240, 320
_EXIF_ORIENTATION = 0x0112


class Expected(BaseModel):
    """What the sealed model answered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: str
    probability_forged: float
    activation_map_mean: float


def golden_picture() -> bytes:
    """A JPEG of 320x240 with a smooth texture, and a patch with another compression history pasted into it.

    It carries an EXIF orientation, so that a recipe's choice to apply it or not is proven too.
    """
    rows, columns = np.mgrid[0:_HEIGHT_PX, 0:_WIDTH_PX].astype(np.float64)
    waves = [np.sin(rows / 17 + columns / 29), np.cos(rows / 11 - columns / 23), np.sin((rows + columns) / 13)]
    grain = np.random.default_rng(0).normal(0, 3, (_HEIGHT_PX, _WIDTH_PX, 3))
    texture = Image.fromarray(np.clip(128 + 70 * np.stack(waves, axis=2) + grain, 0, 255).astype(np.uint8))
    host = Image.open(io.BytesIO(_jpeg(texture, 70)))
    patch = texture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop((40, 50, 140, 130))
    host.paste(patch, (150, 90))
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = 6
    return _jpeg(host, 92, exif)


def _jpeg(picture: Image.Image, quality: int, exif: Image.Exif | None = None) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=quality, **({"exif": exif} if exif else {}))
    return encoded.getvalue()


def write_golden(folder: Path, recipe: Recipe, predict: Callable[[Evidence], Predictions]) -> None:
    """Make the golden request and record what `predict` answers to it.

    Args:
        folder: Created; the bundle's `golden/`.
        recipe: The bundle's recipe.
        predict: uint8 [1, H, W, C] to both outputs of the SavedModel, as it will be served.
    """
    encoded = golden_picture()
    found = evidence(encoded, recipe)
    answers = predict(found[None])
    expected = Expected(
        recipe=recipe.name,
        probability_forged=float(answers[PROBABILITY][0]),
        activation_map_mean=float(answers[ACTIVATION_MAP].mean()),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PICTURE_FILE).write_bytes(encoded)
    np.savez_compressed(folder / EVIDENCE_FILE, evidence=found)
    (folder / EXPECTED_FILE).write_text(expected.model_dump_json(indent=2) + "\n")


def check_golden(bundle: Bundle, engine: Engine) -> None:
    """Answer the golden request anew and compare with what was sealed.

    The evidence must be equal to the byte (a recipe can allow single values to be rounded otherwise), probability and
    mean activation within `TOLERANCE`.

    Raises:
        BundleError: The golden request is unreadable, or an answer differs; the message says which and by how much.
    """
    request = read_golden(bundle)
    encoded, sealed, expected = request.picture, request.evidence, request.expected
    if expected.recipe != bundle.info.recipe:
        raise BundleError(f"the golden request is for {expected.recipe}, the bundle's recipe is {bundle.info.recipe}")
    try:
        found = evidence(encoded, bundle.recipe)
    except ForgeryError as error:
        raise BundleError(f"the golden picture of bundle {bundle.digest} is not accepted: {error}") from error
    _check_evidence(bundle, found, sealed)
    answers = engine.predict(sealed[None], OUTPUTS)
    _check_answer(bundle, PROBABILITY, float(answers[PROBABILITY][0]), expected.probability_forged)
    _check_answer(bundle, ACTIVATION_MAP, float(answers[ACTIVATION_MAP].mean()), expected.activation_map_mean)


@dataclass(frozen=True)
class Golden:
    """A golden request as it was sealed: the file's bytes, uint8 evidence of the recipe's shape, the answers."""

    picture: bytes
    evidence: NDArray[np.uint8]
    expected: Expected


def read_golden(bundle: Bundle) -> Golden:
    """The golden request of a bundle; raises BundleError where it cannot be read."""
    folder = bundle.path / GOLDEN
    try:
        expected = Expected.model_validate_json((folder / EXPECTED_FILE).read_bytes())
        with np.load(folder / EVIDENCE_FILE) as arrays:
            return Golden((folder / PICTURE_FILE).read_bytes(), arrays["evidence"], expected)
    except Exception as error:  # zipfile, NumPy and pydantic raise kinds of their own on damaged files
        raise BundleError(f"{folder} holds no readable golden request ({type(error).__name__})") from error


def _check_evidence(bundle: Bundle, found: Evidence, sealed: Evidence) -> None:
    if found.shape != sealed.shape:
        raise BundleError(f"bundle {bundle.digest}: evidence of {sealed.shape} was sealed, {found.shape} is computed")
    difference = np.abs(found.astype(np.int16) - sealed)
    allowed = bundle.recipe.tolerance
    if difference.max() > allowed or np.count_nonzero(difference) > _MOST_DIFFERENT * allowed * difference.size:
        raise BundleError(
            f"bundle {bundle.digest}: {bundle.info.recipe} gives other evidence here than where it was sealed "
            f"({np.count_nonzero(difference)} values, by up to {difference.max()}): use the sealed versions of Pillow"
        )


def _check_answer(bundle: Bundle, what: str, found: float, sealed: float) -> None:
    # Written so that NaN fails too.
    if not abs(found - sealed) <= TOLERANCE:
        raise BundleError(
            f"bundle {bundle.digest}: the model gives {what} {found:.6f} on the golden picture, "
            f"{sealed:.6f} was sealed: the weights are others, or what runs them is"
        )
