"""Step 3: compute the evidence."""

from kfp import dsl

from components.envelope import envelope


@envelope
def compute_ela(
    image_set: dsl.Input[dsl.Dataset],
    part: str,
    recipe: str,
    variants: list,
    data: dict,
    cache: str,
    evidence_set: dsl.Output[dsl.Dataset],
) -> None:
    """Compute the recipe's evidence (error level analysis) of one part of the training and validation pictures.

    Args:
        image_set: From ingest.
        part: Which of its parts, e.g. 00002-of-00017.
        recipe: Canonical name of the recipe, e.g. ela1_q90_gain15_224_bilinear.
        variants: Training copies made before ELA, e.g. q75, x50q85, varied, pasted; matched: one history for both.
        data: Options of reading and splitting (DataOptions); sizes of shards and parts are taken from them.
        cache: Where maps are looked for and kept; empty for none.
        evidence_set: The part's maps as PNG in shards, lossless, or where they lie in the cache; with their recipe.
    """
    from pathlib import Path

    from forgery.config import RunConfig
    from forgery.steps import step
    from forgery.steps.ela import compute_part

    with step("ela"):
        config = RunConfig.read({"recipe": recipe, "variants": variants, "data": data, "cache": cache})
        evidence_set.metadata.update(compute_part(Path(image_set.path), Path(evidence_set.path), part, config))
