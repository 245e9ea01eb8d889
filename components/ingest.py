"""Step 1: read the pictures."""

from kfp import dsl

from components.envelope import envelope


@envelope
def ingest(source: str, seed: int, data: dict, cache: str, image_set: dsl.Output[dsl.Dataset]) -> list:
    """Read pictures from the source and split them by source group; bytes are kept as they are, rejects are listed.

    Args:
        source: A folder, a zip, file://, s3://bucket/prefix or zip, kaggle:NAME, hf:NAME, or demo:[N].
        seed: Seeds the split and the sample.
        data: Options of reading and splitting (DataOptions).
        cache: Where files read from a bucket are kept, so that an ingest that is killed goes on; empty for none.
        image_set: Pictures in shards, their manifest, and the list of rejects.

    Returns:
        Names of the parts that the ELA step takes one by one.
    """
    from pathlib import Path

    from forgery.config import DataOptions
    from forgery.dataset.ingest import ingest as read_pictures
    from forgery.evidence_parts import part_names
    from forgery.steps import step

    with step("ingest"):
        options = DataOptions.read(data)
        info = read_pictures(source, Path(image_set.path), options, seed, cache)
        image_set.metadata.update(digest=info.digest, pictures=info.pictures, rejects=info.rejects)
        return part_names(info, options.shard_mb, options.shard_pictures)
