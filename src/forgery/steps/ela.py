"""Compute the evidence of one part of an image set."""

from pathlib import Path

from forgery.config import RunConfig
from forgery.evidence import build_evidence
from forgery.recipes import parse_recipe


def compute_part(image_set: Path, out: Path, part: str, config: RunConfig) -> dict[str, str | int]:
    """Write the part's maps to `out`; returns what the artifact says, briefly: training gets that of all at once."""
    sizes = config.data
    info = build_evidence(
        image_set,
        out,
        parse_recipe(config.recipe),
        config.variants,
        sizes.shard_mb,
        part=part,
        shard_pictures=sizes.shard_pictures,
        cache=config.cache,
        in_packs=sizes.shards_in == "cache",
    )
    return {"part": part, **info.model_dump(include={"maps", "reused", "digest"})}
