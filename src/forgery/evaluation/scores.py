"""What evaluation measured, picture by picture, so that the gate and the reports can work from it alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from forgery.decision import DecisionRule
from forgery.metrics import Estimate, Outcome
from forgery.views import RAW

Positions = list[int] | NDArray[np.intp]


class _Frozen(BaseModel):
    # A network can answer NaN; JSON keeps it as such instead of turning it into null.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class TestPictures(_Frozen):
    """Columns of the test split in order of digest, all [n]; `labels` are 1 forged, 0 authentic.

    `qualities` are estimates of the last JPEG save's, None for other formats.
    """

    __test__ = False  # no test case, whatever pytest makes of the name

    digests: list[str]
    labels: list[int]
    groups: list[str]
    manipulations: list[str | None]
    formats: list[str]
    pixels: list[int]
    qualities: list[int | None]

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if {len(column) for column in self.model_dump().values()} != {len(self.digests)}:
            raise ValueError("the columns must have one entry for each picture")
        return self

    def __len__(self) -> int:
        return len(self.digests)


class _Answers(_Frozen):
    """Probabilities of forged, calibrated, and the positions of their pictures in `TestPictures`, ascending, [m]."""

    pictures: list[int]
    probabilities: list[float]

    @model_validator(mode="after")
    def _one_probability_each(self) -> Self:
        if len(self.probabilities) != len(self.pictures):
            raise ValueError("there must be one probability for each picture")
        return self


class ControlScores(_Answers):
    """Answers to crops without a forged pixel. Above .5 the AUC tells how much the model reads file history."""

    roc_auc: Estimate


class MapScores(_Frozen):
    """Activation maps against masks, picture by picture.

    Attributes:
        pictures: Positions of forged pictures with a mask, ascending, [m].
        figures: By method (`map`, `ela`, `centre`), then by name (see `forgery.evaluation.maps`): values, [m].
    """

    pictures: list[int]
    figures: dict[str, dict[str, list[float]]]


class ViewScores(_Answers):
    """A model on the test pictures in one view of `forgery.views`.

    Attributes:
        metrics: By the names of `forgery.metrics.METRICS`.
        control: None where no forged picture has a mask that leaves room.
        maps: None where no forged picture has a mask.
    """

    metrics: dict[str, Estimate] = {}
    control: ControlScores | None = None
    maps: MapScores | None = None


class RobustnessPoint(_Frozen):
    """Answers to pictures that were damaged in one way (`forgery.evaluation.robustness`), [m]."""

    damage: str
    level: float
    probabilities: list[float]
    metrics: dict[str, Estimate]


class RobustnessScores(_Frozen):
    """Answers to the same pictures damaged in each way; `pictures` are their positions, [m]."""

    pictures: list[int]
    points: list[RobustnessPoint]


class ModelScores(_Frozen):
    """One model on the test pictures.

    Attributes:
        model_version: Digest of the bundle.
        recipe: Canonical name of its evidence recipe.
        backbone: Name of its network.
        trained_on: In words, which copies of the training pictures; empty where that is not known.
        decision: Its threshold and inconclusive band.
        pictures: The pictures it was measured on.
        views: Answers by view; those of `judged` to every picture, others to a sample.
        judged: The views whose answers together make `metrics`, and which the gate judges.
        metrics: Figures with intervals over the judged views pooled, by the names of `forgery.metrics.METRICS`.
        robustness: None where it was not asked for.
        latency_ms: Median time from the bytes of one picture to its probability, decoding and evidence included.
        parameters: Weights of the network; None where they cannot be counted.
        size_bytes: Of the SavedModel.
    """

    model_version: str
    recipe: str
    backbone: str
    trained_on: str = ""
    decision: DecisionRule
    pictures: TestPictures
    views: dict[str, ViewScores]
    judged: list[str] = [RAW]
    metrics: dict[str, Estimate] = {}
    robustness: RobustnessScores | None = None
    latency_ms: float = Field(gt=0)
    parameters: int | None = None
    size_bytes: int = Field(gt=0)

    @model_validator(mode="after")
    def _judged_on_every_picture(self) -> Self:
        for view in self.judged:
            if view not in self.views or self.views[view].pictures != list(range(len(self.pictures))):
                raise ValueError(f"view {view!r} must hold an answer to each test picture")
        return self

    @property
    def threshold(self) -> float:
        """From it on a picture reads forged."""
        return self.decision.threshold

    @property
    def positions(self) -> NDArray[np.intp]:
        """Position of the picture of each answer in `outcome`."""
        return self.positions_in(self.judged)

    @property
    def outcome(self) -> Outcome:
        """Truth and answers of the judged views, one after the other; ValueError where a probability is none."""
        return self.outcome_in(self.judged)

    def positions_in(self, views: Sequence[str]) -> NDArray[np.intp]:
        """Position of the picture of each answer in `outcome_in(views)`."""
        return np.concatenate([np.asarray(self.views[view].pictures, np.intp) for view in views])

    def outcome_in(self, views: Sequence[str]) -> Outcome:
        """Truth and answers of these views pooled."""
        answers = np.concatenate([self.views[view].probabilities for view in views])
        return self.outcome_of(self.positions_in(views), answers)

    def outcome_of(self, positions: Positions, probabilities: ArrayLike) -> Outcome:
        """Truth and answers for the pictures at these positions."""
        return Outcome.of(np.asarray(self.pictures.labels)[positions], probabilities, self.threshold)

    def groups_of(self, positions: Positions) -> NDArray[np.str_]:
        """Source groups of the pictures at these positions."""
        return np.asarray(self.pictures.groups)[positions]


class BaselineScores(_Frozen):
    """What can be had without looking at a pixel, measured on the files as they are."""

    name: str
    description: str
    threshold: float
    probabilities: list[float]
    metrics: dict[str, Estimate]


class Comparison(_Frozen):
    """Challenger, champion and baselines on the same test pictures; `counts` are pictures by split and label."""

    challenger: ModelScores
    champion: ModelScores | None
    baselines: list[BaselineScores]
    dataset_digest: str
    counts: dict[str, dict[str, int]] = {}
    confidence: float

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json() + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        return cls.model_validate_json(path.read_bytes())
