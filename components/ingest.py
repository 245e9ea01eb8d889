"""Step 1: read the pictures."""

from kfp import dsl

from components.envelope import envelope


@envelope
def list_source(source: str, seed: int, data: dict, cache: str, listing: dsl.Output[dsl.Dataset]) -> list:
    """List the files of the source with their labels, and deal those that no run has read yet to parts.

    Args:
        source: A folder, a zip, file://, s3://bucket/prefix or zip, kaggle:NAME, hf:NAME, or demo:[N].
        seed: Seeds the sample, and the demo's pictures.
        data: Options of reading and splitting (DataOptions).
        cache: Where files that were read before are looked for; empty for none.
        listing: Names, labels, groups and masks, a file for each part; and files nobody labels.

    Returns:
        Names of the parts.
    """
    from pathlib import Path

    from forgery.config import RunConfig
    from forgery.steps import step
    from forgery.steps.ingest import list_files

    with step("list"):
        config = RunConfig.read({"source": source, "seed": seed, "data": data, "cache": cache})
        return list_files(Path(listing.path), config)


@envelope
def read_part(
    listing: dsl.Input[dsl.Dataset],
    part: str,
    seed: int,
    data: dict,
    cache: str,
    pictures: dsl.Output[dsl.Dataset],
) -> None:
    """Read, check and decode the pictures of one part; bytes are kept as they are, rejects are listed.

    Args:
        listing: From list_source.
        part: Which of its parts, e.g. 00002-of-00017.
        seed: As in list_source.
        data: Options of reading and splitting (DataOptions).
        cache: Where what was read is kept, so that a task that is killed goes on; empty for none.
        pictures: What was read, and the pictures in packs, unless these lie in the cache.
    """
    from pathlib import Path

    from forgery.config import RunConfig
    from forgery.steps import step
    from forgery.steps.ingest import read_one

    with step("read"):
        config = RunConfig.read({"seed": seed, "data": data, "cache": cache})
        pictures.metadata.update(read_one(Path(listing.path), part, Path(pictures.path), config))


@envelope
def ingest(
    listing: dsl.Input[dsl.Dataset],
    parts: dsl.Input[list[dsl.Dataset]],
    seed: int,
    data: dict,
    cache: str,
    image_set: dsl.Output[dsl.Dataset],
) -> list:
    """Join what all parts read, leave copies out, and split pictures by source group; none is read again.

    Args:
        listing: From list_source.
        parts: From read_part.
        seed: Seeds the split.
        data: Options of reading and splitting (DataOptions).
        cache: Where pictures are that were read before; empty for none.
        image_set: The manifest, the list of rejects, and the pictures in packs, unless these lie in the cache.

    Returns:
        Names of the parts that the ELA step takes one by one.
    """
    from pathlib import Path

    from forgery.config import RunConfig
    from forgery.evidence_parts import part_names
    from forgery.steps import step
    from forgery.steps.ingest import join

    with step("ingest"):
        config = RunConfig.read({"seed": seed, "data": data, "cache": cache})
        info = join(Path(listing.path), [Path(part.path) for part in parts], Path(image_set.path), config)
        image_set.metadata.update(digest=info.digest, pictures=info.pictures, rejects=info.rejects)
        return part_names(info, config.data.shard_mb, config.data.shard_pictures)
