"""The steps of the batch pipeline."""

from pathlib import Path

from forgery.batch.config import BatchConfig
from forgery.batch.listing import list_shards
from forgery.batch.parts import score_part
from forgery.batch.summary import markdown, merge, read_counts
from forgery.bundle import Bundle
from forgery.errors import InvalidConfig
from forgery.steps.champion import read_champion


def plan(champion: Path, source: str, out: Path, config: BatchConfig) -> list[str]:
    """List the source's pictures in shards; refused at once where there is no model to score them with."""
    _model(champion)
    return list_shards(source, out, config.shard_pictures, config.data)


def score(champion: Path, listing: Path, shard: str, config: BatchConfig) -> dict[str, object]:
    """Score one shard; its counts as JSON."""
    return score_part(listing, shard, _model(champion), config.source, config.out, config.data).to_dict()


def summarise(champion: Path, counts: list[dict[str, object]], out: str) -> tuple[str, dict[str, float]]:
    """Markdown and scalars of all parts together."""
    total = merge(read_counts(each) for each in counts)
    scalars = {"pictures": total.pictures, "failed": sum(total.failures.values()), **total.labels}
    return markdown(total, out, _model(champion).digest), {name: float(value) for name, value in scalars.items()}


def _model(champion: Path) -> Bundle:
    state, bundle = read_champion(champion)
    if bundle is None:
        raise InvalidConfig(f"the service has no model yet (generation {state.generation}): train one first")
    return bundle
