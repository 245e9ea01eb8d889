"""What is compared: configurations of the library, each with the view it is trained on."""

from dataclasses import dataclass, field

from benchmarks.detection.views import HARMONISED, RAW, SHARED
from forgery.config import RunConfig, TrainingOptions
from forgery.histories import MATCHED
from forgery.recipes import Recipe, parse_recipe
from forgery.recipes.blocks import BlocksRecipe
from forgery.recipes.ela import ElaRecipe
from forgery.recipes.rgb import RgbRecipe
from forgery.recipes.spectrum import SpectrumRecipe


@dataclass(frozen=True)
class System:
    """A recipe, a network and how it is trained.

    Attributes:
        name: Of its rows.
        recipe: Canonical name.
        backbone: One of `forgery.training.backbones.BACKBONES`.
        trained_on: Views of the training and validation pictures.
        options: As for the pipeline.
        pretrained: Starts from the weights given on the command line; without them from random ones.
        forgeries: Train on a fresh forgery (`benchmarks.detection.forging`) of each authentic picture too.
        varied: Train on a copy of each picture with another last save (`forgery.last_saves`) too.
        pasted: Train on what was forged, pasted into authentic pictures (`forgery.pasting`), too.
    """

    name: str
    recipe: str
    backbone: str
    trained_on: tuple[str, ...]
    options: TrainingOptions = field(default_factory=TrainingOptions)
    pretrained: bool = False
    forgeries: bool = False
    varied: bool = False
    pasted: bool = False

    @property
    def parsed(self) -> Recipe:
        """The recipe itself."""
        return parse_recipe(self.recipe)


DEFAULT = "blocks-pasted"  # what ships

_BLOCKS = BlocksRecipe()
_SHIPPED = TrainingOptions()
# What published systems do (000: the last 30 layers learn; 004: the head alone), with a validation split besides.
_LAST_LAYERS = TrainingOptions(
    epochs=32, batch_size=16, head_epochs=0, fine_tune_learning_rate=1e-5, schedule="plateau", patience=6
)
_HEAD = TrainingOptions(epochs=32, fine_tune_layers=0, learning_rate=1e-3, schedule="plateau", patience=6)
_SMALL = TrainingOptions(epochs=15, learning_rate=1e-3, schedule="plateau", patience=5, class_weights=False)
_XCEPTION = TrainingOptions(epochs=12, learning_rate=1e-4, schedule="plateau", patience=6)

SYSTEMS = {
    system.name: system
    for system in (
        System("ela-cnn", ElaRecipe().name, "cnn", (RAW,)),
        System("ela-cnn-harmonised", ElaRecipe().name, "cnn", (HARMONISED,)),
        System("ela-mobilenet", ElaRecipe(gain=None).name, "mobilenet_v2", (RAW,), _LAST_LAYERS, pretrained=True),
        System("ela-sharp-cnn", ElaRecipe(gain=None, size_px=128, sharpened=15).name, "cnn", (RAW,), _SMALL),
        System("rgb-xception", RgbRecipe(size_px=128, upright=False).name, "xception", (RAW,), _XCEPTION),
        System("rgb-mobilenet", RgbRecipe(upright=False).name, "mobilenet_v2", (RAW,), _HEAD, pretrained=True),
        System("spectrum-cnn", SpectrumRecipe().name, "cnn", (RAW,)),
        System("blocks-matched", _BLOCKS.name, "blocks", (MATCHED,), _SHIPPED),
        System("blocks", _BLOCKS.name, "blocks", (MATCHED,), _SHIPPED, varied=True),
        System("blocks-content", RunConfig().recipe, "blocks", (MATCHED,), _SHIPPED, varied=True),
        System(DEFAULT, RunConfig().recipe, "blocks", (MATCHED,), _SHIPPED, varied=True, pasted=True),
        System("blocks-forgeries", _BLOCKS.name, "blocks", (MATCHED,), _SHIPPED, forgeries=True),
        System("blocks-shared", _BLOCKS.name, "blocks", (MATCHED, SHARED), _SHIPPED),
        System("blocks-nomatch", BlocksRecipe(matches=False).name, "blocks", (MATCHED,), _SHIPPED),
    )
}
