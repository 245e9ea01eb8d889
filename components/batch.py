"""Batch scoring: a source of any size, shard by shard, with the model in service."""

from kfp import dsl

from components.envelope import envelope


@envelope
def list_pictures(
    champion: dsl.Input[dsl.Model], source: str, shard_pictures: int, data: dict, listing: dsl.Output[dsl.Dataset]
) -> list:
    """List a source's pictures in shards; nothing but names is read.

    Args:
        champion: The model in service; without one the run ends here.
        source: A folder, a zip, file://, s3://bucket/prefix or zip, kaggle:NAME, hf:NAME, or demo:[N].
        shard_pictures: Pictures of one task.
        data: Limits (DataOptions).
        listing: Names, a file for each shard.

    Returns:
        Names of the shards.
    """
    from pathlib import Path

    from forgery.batch.config import BatchConfig
    from forgery.steps import step
    from forgery.steps.batch import plan

    with step("list"):
        config = BatchConfig.read({"shard_pictures": int(shard_pictures), "data": data})
        return plan(Path(champion.path), source, Path(listing.path), config)


@envelope
def score_shard(
    champion: dsl.Input[dsl.Model], listing: dsl.Input[dsl.Dataset], shard: str, source: str, out: str, data: dict
) -> dict:
    """Score one shard's pictures and write one Parquet file; nothing is done where that is there already.

    Args:
        champion: The model in service.
        listing: From list_pictures.
        shard: Which part of it.
        source: As listed.
        out: Where the file goes: s3://bucket/prefix or file://PATH.
        data: Limits (DataOptions).

    Returns:
        Counts of the shard.
    """
    from pathlib import Path

    from forgery.batch.config import BatchConfig
    from forgery.steps import step
    from forgery.steps.batch import score

    with step("score"):
        config = BatchConfig.read({"source": source, "out": out, "data": data})
        return score(Path(champion.path), Path(listing.path), shard, config)


@envelope
def summarise_scores(
    champion: dsl.Input[dsl.Model],
    counts: list,
    out: str,
    metrics: dsl.Output[dsl.Metrics],
    report: dsl.Output[dsl.Markdown],
) -> None:
    """Add the shards' counts up.

    Args:
        champion: The model in service.
        counts: Of every shard.
        out: Where the Parquet files are.
        metrics: Pictures, verdicts by label, pictures without one.
        report: The same with the distribution of the scores.
    """
    from pathlib import Path

    from forgery.steps import step
    from forgery.steps.batch import summarise

    with step("summarise"):
        text, scalars = summarise(Path(champion.path), counts, out)
        metrics.metadata.update(scalars)
        Path(report.path).write_text(text)
