"""What happens to pictures on their way, in steps: saved lower and lower, made smaller, blurred, noisy."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from forgery.histories import saved

ROBUSTNESS_METRICS: Final = ("roc_auc", "balanced_accuracy")

JPEG, RESIZE, BLUR, NOISE = "jpeg", "resize", "blur", "noise"
TITLES: Final = {
    JPEG: ("JPEG", "quality"),
    RESIZE: ("Resizing", "percent of each side"),
    BLUR: ("Gaussian blur", "standard deviation, px"),
    NOISE: ("Gaussian noise", "standard deviation, levels of 255"),
}


@dataclass(frozen=True)
class Damage:
    """One way to damage a picture, and how much: in the unit that `TITLES` names."""

    kind: str
    level: float

    @property
    def name(self) -> str:
        """E.g. `jpeg:70`."""
        return f"{self.kind}:{self.level:g}"

    def apply(self, picture: Image.Image, random: np.random.Generator) -> Image.Image:
        """The damaged picture, mode RGB; `random` draws the noise."""
        if self.kind == JPEG:
            return saved(picture, quality=round(self.level))
        if self.kind == RESIZE:
            width, height = (max(1, round(side * self.level / 100)) for side in picture.size)
            return picture.resize((width, height), Image.Resampling.LANCZOS)
        if self.kind == BLUR:
            return picture.filter(ImageFilter.GaussianBlur(self.level))
        pixels = np.asarray(picture, np.float32)
        noisy = pixels + random.normal(0, self.level, pixels.shape).astype(np.float32)
        return Image.fromarray(np.clip(noisy.round(), 0, 255).astype(np.uint8))


DAMAGES: Final = (
    *(Damage(JPEG, quality) for quality in (100, 90, 80, 70, 60, 50)),
    *(Damage(RESIZE, percent) for percent in (90, 75, 50)),
    *(Damage(BLUR, deviation) for deviation in (0.5, 1, 2)),
    *(Damage(NOISE, deviation) for deviation in (2, 5, 10)),
)
