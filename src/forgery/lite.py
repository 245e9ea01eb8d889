"""A bundle's model on LiteRT, the small runtime of TensorFlow models: a tenth of its memory, and no start to wait for.

The model reads one picture a call, and a batch goes through as many copies of it as there are cores: a network of this
size takes as long for a picture in a batch as for one alone, and what one call needs does not grow with the batch.
"""

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgery.cores import available_cores
from forgery.errors import BundleError
from forgery.muted import muted
from forgery.recipes import Evidence, Recipe

SIGNATURE = "serving_default"


def installed() -> bool:
    """Whether LiteRT is here; TensorFlow brings none of its own that starts without TensorFlow."""
    from importlib.util import find_spec

    return find_spec("ai_edge_litert") is not None


class LiteModel:
    """A `model.tflite`, loaded once a core; safe to call from several threads at once."""

    def __init__(self, path: Path, recipe: Recipe, outputs: Sequence[str], copies: int = 0) -> None:
        """Load the model.

        Args:
            path: The file; it is mapped, so its copies share it.
            recipe: Names the input and gives its shape.
            outputs: Names it must have.
            copies: Pictures scored at once; 0 takes the cores there are.

        Raises:
            BundleError: It is missing or broken, or its input or outputs are not those asked for.
        """
        copies = copies or available_cores()
        self._free: queue.SimpleQueue[_Copy] = queue.SimpleQueue()
        try:
            loaded = [_Copy(path, recipe.name) for _ in range(copies)]
        except Exception as error:  # the runtime knows ValueError and RuntimeError, the file system others
            raise BundleError(
                f"{path} cannot be loaded by LiteRT ({type(error).__name__}): it is incomplete"
            ) from error
        loaded[0].check(path, recipe, outputs)
        self.activation_shape = loaded[0].map_shape(outputs)
        for each in loaded:
            self._free.put(each)
        self._threads = ThreadPoolExecutor(copies, "litert")

    def run(self, maps: Evidence, outputs: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Score uint8 [n, H, W, C], n >= 1, unchecked."""
        if len(maps) == 1:
            answers = [self._one(maps, outputs)]
        else:
            parts = (maps[index : index + 1] for index in range(len(maps)))
            answers = list(self._threads.map(self._one, parts, [outputs] * len(maps)))
        return {name: np.concatenate([answer[name] for answer in answers]) for name in outputs}

    def _one(self, maps: Evidence, outputs: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        with self._borrowed() as copy:
            return copy.run(maps, outputs)

    @contextmanager
    def _borrowed(self) -> Iterator["_Copy"]:
        copy = self._free.get()
        try:
            yield copy
        finally:
            self._free.put(copy)


class _Copy:
    """One interpreter, for one thread at a time."""

    def __init__(self, path: Path, input_name: str) -> None:
        from ai_edge_litert.interpreter import Interpreter

        # More threads in one picture gain nothing on networks of this size.
        with muted():
            self._interpreter = Interpreter(model_path=str(path), num_threads=1)
            self._interpreter.allocate_tensors()
        signature = self._interpreter.get_signature_runner(SIGNATURE)
        self._inputs = signature.get_input_details()
        self._outputs = signature.get_output_details()
        self._input_name = input_name

    def check(self, path: Path, recipe: Recipe, outputs: Sequence[str]) -> None:
        found = {name: (each["dtype"].__name__, each["shape"].tolist()) for name, each in self._inputs.items()}
        expected = {recipe.name: ("uint8", [1, *recipe.shape])}
        if found != expected:
            raise BundleError(f"{path} reads {found}, but the bundle's recipe is {expected}")
        if missing := set(outputs) - set(self._outputs):
            raise BundleError(f"{path} has no output {min(missing)!r}")

    def map_shape(self, outputs: Sequence[str]) -> tuple[int, int]:
        shapes = (self._outputs[name]["shape"].tolist() for name in outputs)
        height, width = next(shape[1:] for shape in shapes if len(shape) == 3)
        return int(height), int(width)

    def run(self, maps: Evidence, outputs: Sequence[str]) -> dict[str, Any]:
        self._interpreter.set_tensor(self._inputs[self._input_name]["index"], np.ascontiguousarray(maps))
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(self._outputs[name]["index"]) for name in outputs}
