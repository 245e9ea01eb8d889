"""The model bundle: an immutable folder whose name is its digest.

<digest>/
  bundle.json       BundleInfo: recipe, decision, metrics, lineage
  saved_model/      TensorFlow SavedModel: uint8 in (the input is named by the recipe), probabilities out
  model.tflite      the same model for LiteRT, one picture a call; bundles without it are whole too
  model.keras       the network before calibration, for continued training
  golden/           a generated picture, its evidence, the probability expected of it
  model_card.md
  reference.json    scores and evidence statistics of the validation split; absent in bundles sealed before it was kept
  SHA256SUMS        of every other file; its own SHA-256, shortened, is the digest
"""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from forgery.decision import DecisionRule
from forgery.errors import BundleError
from forgery.recipes import Recipe, parse_recipe

INFO_FILE = "bundle.json"
SUMS_FILE = "SHA256SUMS"
SAVED_MODEL = "saved_model"
LITE_MODEL = "model.tflite"
KERAS_FILE = "model.keras"
GOLDEN = "golden"
CARD_FILE = "model_card.md"
# 128 bits: collision-free in practice, and short enough for a Kubernetes label value (63 characters).
DIGEST_LENGTH = 32


class Lineage(BaseModel):
    """Where a bundle comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset_digest: str
    run_id: str
    code_version: str
    config: dict[str, Any] = {}
    continued_from: str | None = None  # digest of the champion whose weights it started from


class Headline(BaseModel):
    """How good the model was measured to be, in one figure that names what it was measured on.

    Attributes:
        metric: By its name in `forgery.metrics`; forged is the positive class.
        value: Over all `views` pooled.
        low: Lower end of its bootstrap interval over source groups.
        high: Upper end.
        confidence: Of that interval.
        split: Which pictures: `test`, which training never saw.
        views: Copies of them, by the names of `forgery.views`.
        pictures: How many, each in every view.
        card: File of the bundle that has all other figures, protocol and limits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    value: float
    low: float
    high: float
    confidence: float
    split: str
    views: tuple[str, ...]
    pictures: int
    card: str = CARD_FILE


class BundleInfo(BaseModel):
    """What a bundle says of itself.

    `metrics` are those of the test split, forged being the positive class: over the judged views pooled and, with the
    view's name before them, in each. `headline` is the first of them with all that names it; None before evaluation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = Field(1, ge=1, le=1)
    recipe: str
    backbone: str
    temperature: float = Field(gt=0)  # calibration, already inside the SavedModel
    decision: DecisionRule
    metrics: dict[str, float] = {}
    headline: Headline | None = None
    lineage: Lineage
    no_lite_model: str = ""  # why there is no model.tflite; empty where there is one, or none was tried
    lite_difference: float | None = None  # most by which its probabilities differ, over all test questions


@dataclass(frozen=True)
class Bundle:
    """A sealed bundle on disk."""

    path: Path
    digest: str
    info: BundleInfo

    @cached_property
    def recipe(self) -> Recipe:
        """The evidence recipe the model was trained on, and the name of its input."""
        return parse_recipe(self.info.recipe)

    @property
    def lite_model(self) -> Path | None:
        """The model for LiteRT, where the bundle has one."""
        path = self.path / LITE_MODEL
        return path if path.is_file() else None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.name != SUMS_FILE
    )


def seal(folder: Path, info: BundleInfo) -> Bundle:
    """Write `bundle.json` and the checksums of all files in `folder`, and give it its digest.

    Sealing the same content again gives the same digest. The folder is not renamed: publishing does that.
    """
    (folder / INFO_FILE).write_text(info.model_dump_json(indent=2) + "\n")
    sums = "".join(f"{_sha256(folder / name)}  {name}\n" for name in _files(folder))
    (folder / SUMS_FILE).write_text(sums)
    return Bundle(folder, sums_digest(sums.encode()), info)


def sums_digest(sums: bytes) -> str:
    """The digest of the bundle whose `SHA256SUMS` holds these bytes."""
    return hashlib.sha256(sums).hexdigest()[:DIGEST_LENGTH]


def open_bundle(folder: str | os.PathLike[str], verify: bool = True) -> Bundle:
    """Open a sealed bundle.

    Args:
        folder: The bundle's folder; its name is not looked at.
        verify: Check every file against its checksum, and that none is missing or added.

    Raises:
        BundleError: It is no bundle, or it was altered; the message names the file.
    """
    path = Path(folder)
    try:
        sums = (path / SUMS_FILE).read_bytes()
        info = BundleInfo.model_validate_json((path / INFO_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise BundleError(f"{path} is no model bundle: {type(error).__name__} on {INFO_FILE} or {SUMS_FILE}") from error
    if verify:
        _verify(path, sums.decode())
    return Bundle(path, sums_digest(sums), info)


def _verify(path: Path, sums: str) -> None:
    expected = {name: digest for digest, name in (line.split("  ", 1) for line in sums.splitlines())}
    found = set(_files(path))
    if missing := expected.keys() - found:
        raise BundleError(f"bundle {path}: {min(missing)} is missing")
    if added := found - expected.keys():
        raise BundleError(f"bundle {path}: {min(added)} does not belong to it")
    for name, digest in expected.items():
        if _sha256(path / name) != digest:
            raise BundleError(f"bundle {path}: {name} was altered since it was sealed")
