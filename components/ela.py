"""Step 3: compute the evidence."""

from kfp import dsl

from components.envelope import envelope


@envelope
def compute_ela(
    image_set: dsl.Input[dsl.Dataset], recipe: str, variants: list, data: dict, evidence_set: dsl.Output[dsl.Dataset]
) -> None:
    """Compute the recipe's evidence (error level analysis) of the training and validation pictures, losslessly.

    Args:
        image_set: From ingest.
        recipe: Canonical name of the recipe, e.g. ela1_q90_gain15_224_bilinear.
        variants: Recompressed or resized training copies made before ELA, e.g. q75, x50 or x50q85.
        data: Options of reading and splitting (DataOptions); the size of shards is taken from them.
        evidence_set: Maps as PNG in shards, with the recipe they were made by.
    """
    from pathlib import Path

    from forgery.config import DataOptions
    from forgery.evidence import build_evidence
    from forgery.recipes import parse_recipe
    from forgery.steps import step

    with step("ela"):
        shard_mb = DataOptions.read(data).shard_mb
        info = build_evidence(Path(image_set.path), Path(evidence_set.path), parse_recipe(recipe), variants, shard_mb)
        evidence_set.metadata.update(recipe=info.recipe, maps=info.maps, dataset_digest=info.dataset_digest)
