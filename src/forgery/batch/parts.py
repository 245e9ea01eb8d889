"""One shard of a batch: its pictures scored, one Parquet file written."""

import hashlib
import io
import json
import logging
from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from forgery.batch.listing import SEED, read_shard
from forgery.bundle import Bundle
from forgery.config import DataOptions
from forgery.dataset.sources import open_source
from forgery.picture import Limits
from forgery.places import open_place
from forgery.progress import track
from forgery.scoring import FailedPicture, ScoredPicture, score_pictures

logger = logging.getLogger(__name__)

# In the Parquet file's own metadata, so that a part that is there need not be read through.
_COUNTS = b"forgery.counts"
BINS = 20


@dataclass(frozen=True)
class PartCounts:
    """What one part, or several merged, hold; all counts are exact, so merging is a sum.

    Attributes:
        pictures: All of them.
        labels: Verdicts by label.
        failures: Pictures without a verdict by reason.
        scores: Verdicts by `probability_forged` in `BINS` bins of equal width, `str` of the bin's number to count.
        reused: Parts that were there already.
        parts: Parts.
    """

    pictures: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    scores: dict[str, int] = field(default_factory=dict)
    reused: int = 0
    parts: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def score_part(listing: Path, shard: str, bundle: Bundle, source: str, out: str, options: DataOptions) -> PartCounts:
    """Score a shard's pictures and write `<out>/<model>/<shard>-<key>.parquet`: one row a picture, in their order.

    Columns: file, label, probability_forged, threshold, model_version, error, reason. The key is a digest of model,
    source and names: a task that runs again, or a batch that is run again, finds its part and scores nothing.

    Raises:
        SourceError: The source cannot be read.
        StorageError: `out` cannot be read or written.
    """
    names = read_shard(listing, shard)
    key = hashlib.sha256(json.dumps([bundle.digest, source, names]).encode()).hexdigest()[:16]
    name = f"{bundle.digest[:16]}/{shard}-{key}.parquet"
    place = open_place(out)
    if (content := place.read(name)) is not None:
        logger.info("shard %s is there already: %s", shard, name)
        return _read_counts(content)
    limits = Limits(max_bytes=options.max_bytes, max_pixels=options.max_pixels)
    with open_source(source, options, SEED) as opened:
        pictures = ((each, partial(opened.read, each)) for each in names)
        rows = list(track(score_pictures(bundle, pictures, limits), len(names), f"shard {shard}"))
    where = place.write(name, _parquet(rows, counts(rows)))
    logger.info("shard %s: %d pictures, %s", shard, len(rows), where)
    return counts(rows)


def counts(rows: list[ScoredPicture | FailedPicture]) -> PartCounts:
    """Count one part's results."""
    scored = [row for row in rows if isinstance(row, ScoredPicture)]
    return PartCounts(
        pictures=len(rows),
        labels=dict(Counter(row.label for row in scored)),
        failures=dict(Counter(row.reason for row in rows if isinstance(row, FailedPicture))),
        scores=dict(Counter(str(min(int(row.probability_forged * BINS), BINS - 1)) for row in scored)),
        parts=1,
    )


def _parquet(rows: list[ScoredPicture | FailedPicture], counted: PartCounts) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    text, number = pa.string(), pa.float32()
    columns = {"file": text, "label": text, "probability_forged": number, "threshold": number}
    schema = pa.schema(columns | {"model_version": text, "error": text, "reason": text})
    records = [asdict(row) | {"file": row.name} for row in rows]
    table = pa.Table.from_pylist(records, schema.with_metadata({_COUNTS: json.dumps(counted.to_dict())}))
    buffer = io.BytesIO()
    parquet.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _read_counts(content: bytes) -> PartCounts:
    from pyarrow import parquet

    found = parquet.read_schema(io.BytesIO(content)).metadata[_COUNTS]
    return PartCounts(**(json.loads(found) | {"reused": 1}))
