"""The batch pipeline: score a bucket of pictures by shards with the model in service."""

from kfp import dsl

from components import find_champion, list_pictures, score_shard, summarise_scores
from forgery.batch.config import BatchConfig
from pipelines.description import described
from pipelines.pod import again_if_lost, in_pod, with_bucket

_DEFAULT = BatchConfig()
_DATA = _DEFAULT.data.model_dump()
# Tasks at once; the local runner takes fewer.
_AT_ONCE = 16


@dsl.pipeline(name="forgery-batch", display_name="Forgery detector: score pictures in bulk")
@described(BatchConfig, "Score every picture of a source with the model in service, shard by shard.")
def batch(
    source: str = _DEFAULT.source,
    out: str = _DEFAULT.out,
    service: str = _DEFAULT.service,
    shard_pictures: int = _DEFAULT.shard_pictures,
    data: dict = _DATA,
) -> None:
    champion = find_champion(service=service)
    with_bucket(in_pod(champion, "Find champion", cpu="250m", memory="512Mi", timeout_s=900))
    model = champion.outputs["champion"]

    listed = list_pictures(champion=model, source=source, shard_pictures=shard_pictures, data=data)
    with_bucket(in_pod(listed, "List pictures", cpu="250m", memory="2Gi", timeout_s=4 * 3600))

    with dsl.ParallelFor(items=listed.outputs["Output"], parallelism=_AT_ONCE, name="shards") as shard:
        scored = score_shard(
            champion=model, listing=listed.outputs["listing"], shard=shard, source=source, out=out, data=data
        )
        again_if_lost(with_bucket(in_pod(scored, "Score shard", cpu="1", memory="2Gi", timeout_s=4 * 3600)))

    total = summarise_scores(champion=model, counts=dsl.Collected(scored.output), out=out)
    in_pod(total, "Summarise", cpu="250m", memory="512Mi", timeout_s=900)
