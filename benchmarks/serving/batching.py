"""Whether a predictor should gather pictures of several requests into one call: what a picture costs in a batch."""

from collections.abc import Callable

import numpy as np

from benchmarks.rows import Row
from benchmarks.serving.load import in_turn
from forgery.bundle import LITE_MODEL, Bundle
from forgery.engine import PROBABILITY, Engine
from forgery.recipes import Evidence

_BATCH = 8
# Gathering costs waiting, threads that are woken and answers that are parted: it must save more than this.
_GOAL = "<= 0.8"


def measure(kind: str, bundle: Bundle, rounds: int) -> list[Row]:
    """A picture's time in a batch of eight over its time alone, one thread of each engine."""
    maps = np.random.default_rng(0).integers(0, 256, (_BATCH, *bundle.recipe.shape), np.uint8)
    engine = Engine(bundle)
    alone, batch = _lite(bundle, maps[:1]), _lite(bundle, maps)
    calls: dict[str, Callable[[], object]] = {
        "litert alone": alone,
        "litert batch": batch,
        "tensorflow alone": lambda: engine.predict(maps[:1], (PROBABILITY,)),
        "tensorflow batch": lambda: engine.predict(maps, (PROBABILITY,)),
    }
    found = in_turn(calls, rounds)
    return [
        Row(
            name=f"{kind}: a picture in a batch of {_BATCH} / alone, {name}",
            ratio=found[f"{key} batch"] / _BATCH / found[f"{key} alone"],
            goal=_GOAL,
        )
        for key, name in (("litert", "LiteRT"), ("tensorflow", "TensorFlow"))
    ]


def _lite(bundle: Bundle, maps: Evidence) -> Callable[[], None]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(bundle.path / LITE_MODEL), num_threads=1)
    (read,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(read["index"], maps.shape)
    interpreter.allocate_tensors()

    def run() -> None:
        interpreter.set_tensor(read["index"], maps)
        interpreter.invoke()

    return run
