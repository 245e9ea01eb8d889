"""From a probability to a verdict: threshold and inconclusive band, fixed at training on the validation split."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Label = Literal["authentic", "forged", "inconclusive"]


class DecisionRule(BaseModel):
    """Sealed in the bundle and applied by the predictor.

    `probability_forged >= threshold` reads forged, below it authentic, unless it lies strictly inside the band
    (`band_low`, `band_high`), which reads inconclusive. Both ends equal to the threshold mean no band.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(ge=0, le=1)
    band_low: float = Field(ge=0, le=1)
    band_high: float = Field(ge=0, le=1)
    objective: str = "macro_f1"

    @model_validator(mode="after")
    def _ordered(self) -> "DecisionRule":
        if not self.band_low <= self.threshold <= self.band_high:
            raise ValueError("band_low <= threshold <= band_high must hold")
        return self

    def label(self, probability_forged: float) -> Label:
        """The verdict for a calibrated probability in [0, 1]."""
        if self.band_low < probability_forged < self.band_high:
            return "inconclusive"
        return "forged" if probability_forged >= self.threshold else "authentic"
