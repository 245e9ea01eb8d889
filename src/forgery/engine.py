"""A bundle's model behind one call: evidence in, probabilities and activation maps out, by TensorFlow or LiteRT."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from forgery.bundle import LITE_MODEL, SAVED_MODEL, Bundle
from forgery.errors import BundleError, InvalidConfig
from forgery.lite import LiteModel, installed
from forgery.recipes import Evidence, Recipe

if TYPE_CHECKING:
    import tensorflow as tf

logger = logging.getLogger(__name__)

SIGNATURE = "serving_default"
PROBABILITY = "probability_forged"
ACTIVATION_MAP = "activation_map"
OUTPUTS = (PROBABILITY, ACTIVATION_MAP)

Predictions = dict[str, NDArray[np.float32]]
# `auto` is LiteRT where the runtime is installed and the bundle has a model for it, else TensorFlow.
EngineKind = Literal["tensorflow", "litert", "auto"]
KINDS: tuple[EngineKind, ...] = ("tensorflow", "litert", "auto")


class Model(Protocol):
    """One loaded network, whatever runs it."""

    @property
    def activation_shape(self) -> tuple[int, int]:
        """Height and width of the activation map."""

    def run(self, maps: Evidence, outputs: Sequence[str]) -> Predictions:
        """Score uint8 [n, H, W, C], n >= 1, unchecked."""


class Engine:
    """The model of one bundle, loaded; safe to call from several threads at once.

    Probabilities are calibrated: the bundle's temperature is inside the model.
    """

    def __init__(
        self,
        bundle: Bundle,
        intra_op_threads: int = 0,
        inter_op_threads: int = 0,
        kind: EngineKind = "tensorflow",
    ) -> None:
        """Load the model.

        Args:
            bundle: A bundle, or a draft opened as one; its recipe must name the model's input.
            intra_op_threads: Threads within one TensorFlow operation; 0 leaves TensorFlow's choice. Holds for the
                whole process and only before TensorFlow has run anything. LiteRT scores a picture a core.
            inter_op_threads: Operations that run side by side; as above.
            kind: What runs it. With LiteRT nothing of TensorFlow is imported.

        Raises:
            BundleError: The model is missing, cannot be loaded, or its input or outputs are not the recipe's.
            InvalidConfig: LiteRT is asked for and not installed.
        """
        self.recipe = bundle.recipe
        self.kind: EngineKind = choose_kind(bundle, kind)
        self._model: Model
        if self.kind == "litert":
            self._model = LiteModel(bundle.path / LITE_MODEL, self.recipe, OUTPUTS, copies=intra_op_threads)
        else:
            _limit_threads(intra_op_threads, inter_op_threads)
            self._model = ServedModel(bundle.path / SAVED_MODEL, self.recipe)

    @property
    def activation_shape(self) -> tuple[int, int]:
        """Height and width of the activation map; coarser than the evidence."""
        return self._model.activation_shape

    def predict(self, maps: Evidence, outputs: Sequence[str] = (PROBABILITY,)) -> Predictions:
        """Score a batch.

        Args:
            maps: uint8 [n, H, W, C] of the bundle's recipe, n >= 0. The whole batch is one call of
                TensorFlow, whose memory grows with n.
            outputs: Any of `OUTPUTS`.

        Returns:
            float32 arrays by output name: `probability_forged` [n] in [0, 1]; `activation_map` [n, h, w] in [0, 1],
            with .5 where the place speaks neither way.

        Raises:
            InvalidConfig: Another dtype or shape, or an unknown output; the message says what is expected.
        """
        self._check(maps, outputs)
        if len(maps) == 0:
            empty = {PROBABILITY: (0,), ACTIVATION_MAP: (0, *self.activation_shape)}
            return {name: np.zeros(empty[name], np.float32) for name in outputs}
        return self._model.run(maps, outputs)

    def warm_up(self, batch_size: int = 1) -> None:
        """Run once on zeros, so that the first request does not pay for the runtime's set-up."""
        self.predict(np.zeros((batch_size, *self.recipe.shape), np.uint8), OUTPUTS)

    def _check(self, maps: Evidence, outputs: Sequence[str]) -> None:
        if unknown := set(outputs) - set(OUTPUTS):
            raise InvalidConfig(f"unknown output {min(unknown)!r}; known: {', '.join(OUTPUTS)}")
        if maps.dtype != np.uint8 or maps.ndim != 4 or maps.shape[1:] != self.recipe.shape:
            height, width, channels = self.recipe.shape
            raise InvalidConfig(
                f"the model reads {self.recipe.name} as uint8 [n, {height}, {width}, {channels}]; "
                f"got {maps.dtype} {list(maps.shape)}"
            )


def choose_kind(bundle: Bundle, wanted: EngineKind) -> EngineKind:
    """What will run this bundle: `tensorflow` or `litert`.

    Raises:
        BundleError: LiteRT is asked for and the bundle has no model for it; the message says why.
        InvalidConfig: LiteRT is asked for and not installed.
    """
    if wanted == "tensorflow":
        return wanted
    able = installed() and bundle.lite_model is not None
    if wanted == "auto":
        return "litert" if able else "tensorflow"
    if bundle.lite_model is None:
        why = bundle.info.no_lite_model or "it was published without one"
        raise BundleError(f"bundle {bundle.digest} has no model for LiteRT: {why}; use the engine tensorflow or auto")
    if not able:
        raise InvalidConfig("LiteRT is not installed: pip install ai-edge-litert, or use the engine tensorflow or auto")
    return wanted


def able_kinds(bundle: Bundle) -> tuple[EngineKind, ...]:
    """All that can run the bundle here: TensorFlow, and LiteRT where `auto` takes it."""
    return ("tensorflow", "litert") if choose_kind(bundle, "auto") == "litert" else ("tensorflow",)


class ServedModel:
    """A SavedModel and its serving function, before any bundle is around it."""

    def __init__(self, saved_model: Path, recipe: Recipe) -> None:
        """Load; BundleError if it cannot be, or if its input or outputs are not those of `recipe`."""
        import tensorflow as tf

        if not (saved_model / "saved_model.pb").is_file():
            raise BundleError(f"{saved_model} holds no saved_model.pb")
        try:
            # Held, because the function refers to the model's resources weakly.
            self._model = tf.saved_model.load(str(saved_model))
            self._function = self._model.signatures[SIGNATURE]
        except Exception as error:  # a broken one surfaces as OSError, KeyError, ValueError, DataLossError, ...
            raise BundleError(f"{saved_model} cannot be loaded ({type(error).__name__}): it is incomplete") from error
        self._recipe = recipe
        self._check(saved_model)

    @property
    def activation_shape(self) -> tuple[int, int]:
        """Height and width of the activation map."""
        _, height, width = self._function.structured_outputs[ACTIVATION_MAP].shape
        return int(height), int(width)

    def run(self, maps: Evidence, outputs: Sequence[str] = OUTPUTS) -> Predictions:
        """Score uint8 [n, H, W, C], n >= 1, unchecked."""
        import tensorflow as tf

        answers = self.answers(tf.constant(maps))
        return {name: answers[name].numpy() for name in outputs}

    def answers(self, maps: "tf.Tensor") -> "dict[str, tf.Tensor]":
        """Both outputs of a uint8 tensor [n, H, W, C]; can be traced into another graph."""
        found: dict[str, tf.Tensor] = self._function(**{self._recipe.name: maps})
        return found

    def _check(self, saved_model: Path) -> None:
        inputs = self._function.structured_input_signature[1]
        found = {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in inputs.items()}
        expected = {self._recipe.name: ("uint8", [None, *self._recipe.shape])}
        if found != expected:
            raise BundleError(f"{saved_model} reads {found}, but the bundle's recipe is {expected}")
        if missing := set(OUTPUTS) - set(self._function.structured_outputs):
            raise BundleError(f"{saved_model} has no output {min(missing)!r}")


def _limit_threads(intra_op_threads: int, inter_op_threads: int) -> None:
    import tensorflow as tf

    threading = tf.config.threading
    try:
        if intra_op_threads:
            threading.set_intra_op_parallelism_threads(intra_op_threads)
        if inter_op_threads:
            threading.set_inter_op_parallelism_threads(inter_op_threads)
    except RuntimeError:
        logger.warning("TensorFlow runs already; its threads stay as they are")
