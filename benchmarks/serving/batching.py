"""Whether a predictor should gather pictures of several requests into one call: what a picture costs in a batch."""

from collections.abc import Callable

import numpy as np

from benchmarks.serving.load import in_turn
from forgery.bundle import SAVED_MODEL, Bundle
from forgery.engine import PROBABILITY, Engine
from forgery.recipes import Evidence

_BATCH = 8


def measure(bundle: Bundle, rounds: int) -> dict[str, float]:
    """A picture's time in a batch of eight over its time alone, by engine; LiteRT on one thread."""
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
    return {
        f"a picture in a batch of {_BATCH} / alone, {name}": found[f"{key} batch"] / _BATCH / found[f"{key} alone"]
        for key, name in (("litert", "LiteRT"), ("tensorflow", "TensorFlow"))
    }


def _lite(bundle: Bundle, maps: Evidence) -> Callable[[], None]:
    from ai_edge_litert.interpreter import Interpreter

    from forgery.training.lite import convert

    # Converted for that many: the bundle's own model has one picture in all its shapes.
    model = convert(bundle.path / SAVED_MODEL, bundle.recipe, len(maps))
    interpreter = Interpreter(model_content=model, num_threads=1)
    (read,) = interpreter.get_input_details()
    interpreter.allocate_tensors()

    def run() -> None:
        interpreter.set_tensor(read["index"], maps)
        interpreter.invoke()

    return run
