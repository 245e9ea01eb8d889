"""Names, datatypes and shapes of everything the service answers with."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from serving.refusal import Reason, Refusal


@dataclass(frozen=True)
class Output:
    """One output; row i of it belongs to picture i of the request."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    on_request: bool = False

    @property
    def metadata(self) -> dict[str, Any]:
        """As the v2 model metadata declares it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


VERDICT = (
    Output("probability_forged", "FP32", (-1,)),
    Output("label", "BYTES", (-1,)),
    Output("threshold", "FP32", (-1,)),
    Output("confidence", "FP32", (-1,)),
    Output("model_version", "BYTES", (-1,)),
)
# Between these two, and at neither, the verdict is `inconclusive`.
BAND = (
    Output("band_low", "FP32", (-1,), on_request=True),
    Output("band_high", "FP32", (-1,), on_request=True),
)
ACTIVATION_MAP = Output("activation_map", "FP32", (-1, -1, -1), on_request=True)
EXPLANATIONS = (
    Output("ela", "BYTES", (-1,), on_request=True),
    Output("heatmap", "BYTES", (-1,), on_request=True),
    Output("self_matches", "BYTES", (-1,), on_request=True),
    Output("spectrum", "BYTES", (-1,), on_request=True),
    Output("image_info", "BYTES", (-1,), on_request=True),
)
PREDICTOR_OUTPUTS = (*VERDICT, *BAND, ACTIVATION_MAP)
TRANSFORMER_OUTPUTS = (*PREDICTOR_OUTPUTS, *EXPLANATIONS)


def choose(requested: Sequence[str], offered: Sequence[Output]) -> tuple[Output, ...]:
    """The outputs asked for, in that order; without a wish, those not marked `on_request`.

    Raises:
        Refusal: A name is not offered; the message lists those that are.
    """
    if not requested:
        return tuple(output for output in offered if not output.on_request)
    by_name = {output.name: output for output in offered}
    if unknown := [name for name in requested if name not in by_name]:
        names = ", ".join(by_name)
        raise Refusal(Reason.INVALID, f"there is no output {unknown[0][:80]!r}; there are {names}", limit=names)
    return tuple(by_name[name] for name in dict.fromkeys(requested))


def names(outputs: Collection[Output]) -> tuple[str, ...]:
    """Their names alone."""
    return tuple(output.name for output in outputs)
