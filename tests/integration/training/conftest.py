"""Evidence sets made of noise, in which forged maps have a bright square somewhere."""

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from forgery.dataset.shards import read_members
from forgery.evidence import encode_map
from forgery.evidence_cache import EvidenceCache
from forgery.evidence_packs import PackWriter
from forgery.recipes import parse_recipe

RECIPE = "ela1_q90_gain15_32_bilinear"


@dataclass(frozen=True)
class EvidenceSet:
    path: Path
    maps: dict[str, NDArray[np.uint8]]  # split -> [n, H, W, C], in order of the index
    labels: dict[str, list[int]]


MakeEvidence = Callable[..., EvidenceSet]


def draw_map(rng: np.random.Generator, shape: tuple[int, int, int], forged: bool) -> NDArray[np.uint8]:
    drawn = rng.integers(0, 60, shape, np.uint8)
    if forged:
        top, left = rng.integers(0, shape[0] - 8, 2)
        drawn[top : top + 8, left : left + 8] += 120
    return drawn


def write_evidence(
    path: Path, recipe: str = RECIPE, counts: tuple[int, int] = (24, 12), shards: int = 3, seed: int = 0
) -> EvidenceSet:
    shape, rng = parse_recipe(recipe).shape, np.random.default_rng(seed)
    (path / "shards").mkdir(parents=True)
    rows, maps, labels = [], {}, {}
    for split, count in zip(("train", "validation"), counts, strict=True):
        labels[split] = [int(value) for value in rng.permutation(np.arange(count) % 2)]
        drawn = [draw_map(rng, shape, bool(label)) for label in labels[split]]
        maps[split] = np.stack(drawn) if drawn else np.empty((0, *shape), np.uint8)
        for number, positions in enumerate(np.array_split(np.arange(count), shards)):
            shard = f"{split}-{number:05d}.tar"
            with tarfile.open(path / "shards" / shard, "w") as archive:
                for at in positions:
                    member = tarfile.TarInfo(f"{split}{at:058d}.original.png")
                    encoded = encode_map(drawn[at])
                    member.size = len(encoded)
                    archive.addfile(member, io.BytesIO(encoded))
                    label = "forged" if labels[split][at] else "authentic"
                    row = {"digest": f"{split}{at:058d}", "variant": "original", "label": label, "group": str(at)}
                    rows.append(row | {"split": split, "shard": shard, "member": member.name})
    (path / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = {s: {n: labels[s].count(v) for v, n in enumerate(("authentic", "forged"))} for s in labels}
    info = {"recipe": recipe, "dataset_digest": "d" * 64, "variants": [], "counts": table, "maps": len(rows)}
    (path / "evidence.json").write_text(json.dumps(info | {"map_bytes": len(rows) * int(np.prod(shape))}))
    return EvidenceSet(path, maps, labels)


def leave_in_packs(evidence: EvidenceSet, cache: str, path: Path) -> EvidenceSet:
    """The same evidence set with its maps in packs below `cache`, which end in the middle of shards."""
    info = json.loads((evidence.path / "evidence.json").read_text())
    kept = EvidenceCache(cache, parse_recipe(info["recipe"]), required=True)
    packs, rows, places = PackWriter(kept, 30_000), [], []
    (path / "shards").mkdir(parents=True)
    for line in (evidence.path / "index.jsonl").read_text().splitlines():
        row = json.loads(line)
        png = dict(read_members(evidence.path / "shards" / row["shard"]))[row["member"]]
        rows.append(line + "\n")
        places.append(json.dumps(packs.add(row["digest"], {"k": png})["k"]) + "\n")
    packs.flush()
    (path / "index.jsonl").write_text("".join(rows))
    (path / "places.jsonl").write_text("".join(places))
    (path / "evidence.json").write_text(json.dumps(info | {"place": kept.where}))
    return EvidenceSet(path, evidence.maps, evidence.labels)


@pytest.fixture
def in_packs(tmp_path: Path) -> Callable[[EvidenceSet], EvidenceSet]:
    return lambda evidence: leave_in_packs(evidence, f"file://{tmp_path}/cache", tmp_path / "packed")


@pytest.fixture
def make_evidence(tmp_path: Path) -> MakeEvidence:
    return lambda **options: write_evidence(tmp_path / f"evidence-{len(list(tmp_path.iterdir()))}", **options)


@pytest.fixture(scope="session")
def evidence_set(tmp_path_factory: pytest.TempPathFactory) -> EvidenceSet:
    return write_evidence(tmp_path_factory.mktemp("evidence") / "set", counts=(64, 24))
