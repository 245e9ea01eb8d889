"""What evaluation measured, picture by picture, so that the gate and the reports can work from it alone."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from forgery.decision import DecisionRule
from forgery.metrics import Estimate, Outcome


class _Frozen(BaseModel):
    # A network can answer NaN; JSON keeps it as such instead of turning it into null.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class TestPictures(_Frozen):
    """Columns of the test split in order of digest, all [n]; `labels` are 1 forged, 0 authentic."""

    __test__ = False  # no test case, whatever pytest makes of the name

    digests: list[str]
    labels: list[int]
    groups: list[str]
    manipulations: list[str | None]
    formats: list[str]
    pixels: list[int]

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        if {len(column) for column in self.model_dump().values()} != {len(self.digests)}:
            raise ValueError("the columns must have one entry for each picture")
        return self

    def __len__(self) -> int:
        return len(self.digests)


class ModelScores(_Frozen):
    """One model on the test pictures.

    Attributes:
        model_version: Digest of the bundle.
        recipe: Canonical name of its evidence recipe.
        backbone: Name of its network.
        decision: Its threshold and inconclusive band.
        pictures: The pictures it was measured on.
        probabilities: Of forged, calibrated, [n].
        metrics: Figures with intervals, by the names of `forgery.metrics.METRICS`.
        latency_ms: Median time from the bytes of one picture to its probability, decoding and evidence included.
        parameters: Weights of the network; None where they cannot be counted.
        size_bytes: Of the SavedModel.
    """

    model_version: str
    recipe: str
    backbone: str
    decision: DecisionRule
    pictures: TestPictures
    probabilities: list[float]
    metrics: dict[str, Estimate] = {}
    latency_ms: float = Field(gt=0)
    parameters: int | None = None
    size_bytes: int = Field(gt=0)

    @model_validator(mode="after")
    def _one_probability_each(self) -> Self:
        if len(self.probabilities) != len(self.pictures):
            raise ValueError("there must be one probability for each picture")
        return self

    @property
    def threshold(self) -> float:
        """From it on a picture reads forged."""
        return self.decision.threshold

    @property
    def outcome(self) -> Outcome:
        """Truth and answers; ValueError where a probability is none."""
        return Outcome.of(self.pictures.labels, self.probabilities, self.threshold)


class BaselineScores(_Frozen):
    """What can be had without looking at a pixel, measured like a model."""

    name: str
    description: str
    threshold: float
    probabilities: list[float]
    metrics: dict[str, Estimate]


class Comparison(_Frozen):
    """Challenger, champion and baselines on the same test pictures."""

    challenger: ModelScores
    champion: ModelScores | None
    baselines: list[BaselineScores]
    dataset_digest: str
    confidence: float

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json() + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        return cls.model_validate_json(path.read_bytes())
