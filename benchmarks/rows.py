"""What a benchmark reports."""

import operator
import re

from pydantic import BaseModel, ConfigDict, Field

_COMPARISONS = {"<=": operator.le, ">=": operator.ge}


class Row(BaseModel):
    """One ratio and what it should be.

    Attributes:
        name: What was compared with what, in words.
        ratio: The first over the second, both measured in this run.
        goal: A comparison with a number, e.g. `<= 1.35`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    ratio: float = Field(ge=0, allow_inf_nan=False)
    goal: str = Field(pattern=r"^(<=|>=) \d+(\.\d+)?$")

    @property
    def met(self) -> bool:
        """Whether the ratio reaches the goal."""
        match = re.fullmatch(r"(<=|>=) (.*)", self.goal)
        assert match is not None  # the pattern of the field
        return bool(_COMPARISONS[match[1]](self.ratio, float(match[2])))
