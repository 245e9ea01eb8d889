"""The proof of an export: its own runtime, given the files as written, answers like the bundle."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from forgery.bundle import Bundle
from forgery.engine import ACTIVATION_MAP, OUTPUTS, PROBABILITY, Engine
from forgery.errors import ExportFailed
from forgery.golden import TOLERANCE, check_golden, read_golden
from forgery.recipes import Evidence

# Runtimes may divide a batch among their threads: more maps than this machine is likely to have cores say nothing new.
_NOISE_MAPS = 4


class Proof(BaseModel):
    """How an export was checked.

    Attributes:
        runtime: What ran it, with its version.
        maps: How many it was asked about: those of the golden request first.
        largest_difference: By output, the largest absolute difference from the bundle's answers.
        allowed: What it may have been.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    runtime: str
    maps: int
    largest_difference: dict[str, float]
    allowed: float = TOLERANCE


def probes(bundle: Bundle) -> Evidence:
    """Maps to compare answers on, uint8 [n, H, W, C]: the golden picture's four ways round, and noise.

    One picture alone may lie where the network is sure of itself, and all runtimes agree.
    """
    golden = read_golden(bundle).evidence
    turned = [golden, golden[::-1], golden[:, ::-1], golden[::-1, ::-1]]
    random = np.random.default_rng(0)
    noise = [
        random.integers(0, 2 ** (8 - index), golden.shape, np.uint8, endpoint=False) for index in range(_NOISE_MAPS)
    ]
    return np.stack([*turned, *noise])


def prove(bundle: Bundle, runtime: str, run: Callable[[Evidence], Mapping[str, Any]]) -> Proof:
    """Compare an export's answers with the bundle's.

    Args:
        bundle: Must give the answers it was sealed with, here and now.
        runtime: Name and version of what `run` uses.
        run: uint8 [n, H, W, C] to both outputs, by the exported files.

    Raises:
        BundleError: The bundle itself does not answer its golden request.
        ExportFailed: An answer is missing or too far off.
    """
    engine = Engine(bundle)
    check_golden(bundle, engine)
    maps = probes(bundle)
    expected = engine.predict(maps, OUTPUTS)
    try:
        found = run(maps)
        differences = {
            name: float(np.abs(np.asarray(found[name]) - expected[name]).max())
            for name in (PROBABILITY, ACTIVATION_MAP)
        }
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        raise ExportFailed(f"{runtime} cannot run the exported model ({type(error).__name__}: {error})") from error
    for name, difference in differences.items():
        # Written so that NaN fails too.
        if not difference <= TOLERANCE:
            raise ExportFailed(
                f"{runtime} gives {name} off by {difference:.1e} from the bundle's with the exported model, "
                f"more than {TOLERANCE:.0e}: nothing was written"
            )
    return Proof(runtime=runtime, maps=len(maps), largest_difference=differences)
