"""Bundles to serve: untrained networks, since what weights say changes nothing about how long they take."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from forgery.bundle import CARD_FILE, Bundle, Lineage, open_bundle, seal
from forgery.config import RunConfig
from forgery.decision import DecisionRule
from forgery.recipes import parse_recipe
from forgery.recipes.ela import ElaRecipe


@dataclass(frozen=True)
class Kind:
    """A recipe and the network that reads it."""

    recipe: str
    backbone: str


KINDS: Mapping[str, Kind] = {
    "default": Kind(RunConfig().recipe, RunConfig().backbone),
    "ela": Kind(ElaRecipe().name, "mobilenet_v2"),
}


def make_bundle(kind: Kind, folder: Path) -> Bundle:
    """Seal a bundle of that kind in `folder`, or open the one that is there."""
    if folder.exists():
        return open_bundle(folder)
    import keras

    from forgery.training.backbones import build_network, choose_backbone
    from forgery.training.export import DRAFT_FILE, export_draft, read_draft

    keras.utils.set_random_seed(0)
    recipe = parse_recipe(kind.recipe)
    backbone = choose_backbone(kind.backbone, recipe)
    rule = DecisionRule(threshold=0.5, band_low=0.5, band_high=0.5)
    lineage = Lineage(dataset_digest="", run_id="benchmark", code_version="")
    export_draft(build_network(backbone, recipe), folder, recipe, 1.0, rule, backbone, lineage)
    info = read_draft(folder).info
    (folder / DRAFT_FILE).unlink()
    (folder / CARD_FILE).write_text("# A network for benchmarks\n")
    return seal(folder, info)
