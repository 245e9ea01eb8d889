"""The gate: does the challenger replace the champion? Pure, and every answer carries its reason."""

from pydantic import BaseModel, ConfigDict, Field


class PromotionRule(BaseModel):
    """What a challenger must show, measured on the same test pictures as the champion.

    F1 is that of the forged class. It alone rewards answering "forged" to everything (F1 .697 on CASIA v1),
    hence the guard on balanced accuracy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    margin: float = Field(0.0, ge=0, lt=1, description="F1 must be better by more than this.")
    floor: float = Field(0.5, ge=0, le=1, description="F1 below this is never promoted, not even as first model.")
    min_balanced_accuracy: float = Field(0.55, ge=0, le=1, description="Balanced accuracy below this never is.")
    max_balanced_accuracy_drop: float = Field(0.02, ge=0, le=1, description="Against the champion.")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="Of the paired bootstrap over groups.")
    bootstrap_draws: int = Field(1000, ge=100, le=100_000)
    require_significance: bool = Field(True, description="The bootstrap's lower bound of the F1 gain must exceed 0.")
    max_latency_ratio: float = Field(
        3.0, gt=0, description="Challenger over champion, one picture; guards the service."
    )
