"""The training pipeline: from pictures to a model in service, or to the reason why not."""

from kfp import dsl

from components import (
    compute_ela,
    decide,
    deploy,
    evaluate,
    find_champion,
    ingest,
    list_source,
    read_part,
    score,
    train,
    validate,
)
from forgery.config import RunConfig
from pipelines.description import described
from pipelines.pod import again_if_lost, in_pod, with_bucket, with_gpus

_DEFAULT = RunConfig()
_DATA = _DEFAULT.data.model_dump()
_TRAINING = _DEFAULT.training.model_dump()
_RULE = _DEFAULT.rule.model_dump()
# Parts at once; Kubeflow Pipelines takes no parameter here, and the local runner runs fewer.
_AT_ONCE = 16


@dsl.pipeline(name="forgery-training", display_name="Forgery detector: train, prove, deploy")
@described(RunConfig, "From pictures to a model in service, or to the reason why not.")
def training(
    source: str = _DEFAULT.source,
    recipe: str = _DEFAULT.recipe,
    variants: list = _DEFAULT.variants,
    backbone: str = _DEFAULT.backbone,
    weights: str = _DEFAULT.weights,
    seed: int = _DEFAULT.seed,
    data: dict = _DATA,
    training: dict = _TRAINING,
    rule: dict = _RULE,
    bundles: str = _DEFAULT.bundles,
    cache: str = _DEFAULT.cache,
    service: str = _DEFAULT.service,
    tracking: str = _DEFAULT.tracking,
    checkpoints: str = _DEFAULT.checkpoints,
    workers: int = _DEFAULT.workers,
    gpus: str = _DEFAULT.gpus,
) -> None:
    listed = list_source(source=source, seed=seed, data=data, cache=cache)
    with_bucket(in_pod(listed, "List source", cpu="1", memory="2Gi", timeout_s=4 * 3600))
    listing = listed.outputs["listing"]

    with dsl.ParallelFor(items=listed.outputs["Output"], parallelism=_AT_ONCE, name="reading") as part:
        read = read_part(listing=listing, part=part, seed=seed, data=data, cache=cache)
        again_if_lost(with_bucket(in_pod(read, "Read pictures", cpu="1", memory="2Gi", timeout_s=4 * 3600)))

    images = ingest(listing=listing, parts=dsl.Collected(read.outputs["pictures"]), seed=seed, data=data, cache=cache)
    with_bucket(in_pod(images, "Assemble image set", cpu="1", memory="2Gi", timeout_s=4 * 3600))

    valid = validate(image_set=images.outputs["image_set"], data=data)
    with_bucket(in_pod(valid, "Validate data", cpu="1", memory="2Gi", timeout_s=3600))

    with dsl.ParallelFor(items=images.outputs["Output"], parallelism=_AT_ONCE, name="parts") as part:
        maps = compute_ela(
            image_set=images.outputs["image_set"], part=part, recipe=recipe, variants=variants, data=data, cache=cache
        ).after(valid)
        again_if_lost(with_bucket(in_pod(maps, "Compute ELA", cpu="2", memory="2Gi", timeout_s=4 * 3600)))

    champion = find_champion(service=service)
    with_bucket(in_pod(champion, "Find champion", cpu="250m", memory="512Mi", timeout_s=900))

    fitted = train(
        evidence_sets=dsl.Collected(maps.outputs["evidence_set"]),
        champion=champion.outputs["champion"],
        backbone=backbone,
        weights=weights,
        seed=seed,
        training=training,
        tracking=tracking,
        checkpoints=checkpoints,
        workers=workers,
        run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
    )
    with_gpus(with_bucket(in_pod(fitted, "Train challenger", cpu="2", memory="6Gi", timeout_s=24 * 3600)), gpus)

    with dsl.ParallelFor(items=images.outputs["Output"], parallelism=_AT_ONCE, name="test parts") as part:
        scored = score(
            image_set=images.outputs["image_set"],
            draft=fitted.outputs["draft"],
            champion=champion.outputs["champion"],
            part=part,
            rule=rule,
            cache=cache,
        )
        again_if_lost(with_bucket(in_pod(scored, "Score test pictures", cpu="2", memory="4Gi", timeout_s=4 * 3600)))

    measured = evaluate(
        image_set=images.outputs["image_set"],
        draft=fitted.outputs["draft"],
        champion=champion.outputs["champion"],
        answers=dsl.Collected(scored.outputs["answers"]),
        seed=seed,
        rule=rule,
        cache=cache,
        tracking=tracking,
    )
    with_bucket(in_pod(measured, "Evaluate both", cpu="2", memory="4Gi", timeout_s=4 * 3600))

    gate = decide(comparison=measured.outputs["comparison"], rule=rule)
    in_pod(gate, "Decide", cpu="250m", memory="512Mi", timeout_s=900)

    with dsl.If(gate.outputs["Output"] == True, name="promoted"):  # noqa: E712 - KFP builds the condition from the comparison
        rolled_out = deploy(
            bundle=measured.outputs["bundle"],
            champion=champion.outputs["champion"],
            bundles=bundles,
            service=service,
            tracking=tracking,
        )
        with_bucket(in_pod(rolled_out, "Deploy", cpu="1", memory="2Gi", timeout_s=1800))
