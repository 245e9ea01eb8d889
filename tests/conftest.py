"""Fixtures that tests of several parts share."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from forgery.bundle import Bundle, BundleInfo, Lineage, seal
from forgery.decision import DecisionRule
from forgery.recipes import parse_recipe

# The same examples each time: a change is judged by what it changed. --hypothesis-profile=default looks further.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")

TINY_RECIPE = "ela1_q90_gain15_32_bilinear"
MakeBundle = Callable[..., Bundle]


def _write_bundle(folder: Path, recipe: str, bias: float, seed: int, metrics: dict[str, float]) -> Bundle:
    import keras

    from forgery.training.backbones import build_network
    from forgery.training.export import DRAFT_FILE, export_draft, read_draft

    keras.utils.set_random_seed(seed)
    network = build_network("cnn", parse_recipe(recipe))
    network.get_layer("logit_map").bias.assign([bias])
    rule = DecisionRule(threshold=0.5, band_low=0.5, band_high=0.5)
    lineage = Lineage(dataset_digest="0" * 64, run_id=f"test-{seed}", code_version="test")
    export_draft(network, folder, parse_recipe(recipe), 1.0, rule, "cnn", lineage)
    info = read_draft(folder).info.model_copy(update={"metrics": metrics})
    (folder / DRAFT_FILE).unlink()
    (folder / "model_card.md").write_text("# A model for tests\n")
    return seal(folder, info)


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> MakeBundle:
    """Make a real sealed bundle with an untrained network; the same arguments give the same bundle.

    Each other `recipe`, `bias` (added to every logit) or `seed` gives another digest. Do not write into its folder:
    it is shared with other tests; copy it first.
    """
    made: dict[tuple[str, float, int, float], Bundle] = {}

    def make(recipe: str = TINY_RECIPE, bias: float = 0.0, seed: int = 0, f1: float = 0.8) -> Bundle:
        key = (recipe, bias, seed, f1)
        if key not in made:
            folder = tmp_path_factory.mktemp("bundle") / "draft"
            made[key] = _write_bundle(folder, recipe, bias, seed, {"f1": f1})
        return made[key]

    return make


@pytest.fixture
def make_light_bundle(tmp_path: Path) -> Callable[[str], Bundle]:
    """Seal a bundle with no network in it, for tests that move bundles about; its digest depends on the name given."""

    def make(name: str) -> Bundle:
        folder = tmp_path / "drafts" / name
        (folder / "saved_model").mkdir(parents=True, exist_ok=True)
        (folder / "saved_model" / "saved_model.pb").write_text(name)
        rule = DecisionRule(threshold=0.5, band_low=0.5, band_high=0.5)
        lineage = Lineage(dataset_digest="0" * 64, run_id=name, code_version="test")
        info = BundleInfo(recipe=TINY_RECIPE, backbone="cnn", temperature=1.0, decision=rule, lineage=lineage)
        return seal(folder, info)

    return make
