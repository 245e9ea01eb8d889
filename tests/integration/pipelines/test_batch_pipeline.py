"""The batch pipeline that ships, run here; its parts on a real S3 server."""

import shutil
import tempfile

import pytest
from pyarrow import parquet

from forgery.batch.config import BatchConfig
from forgery.batch.listing import list_shards
from forgery.batch.parts import score_part
from forgery.config import DataOptions
from forgery.dataset.demo import make_demo
from forgery.rollout.port import ServiceState
from forgery.rollout.service import open_service
from forgery.stores import publish
from pipelines.compile import COMPILED
from pipelines.local import RunFailed, run_locally

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
BROKEN = "authentic/broken.jpg"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Twelve pictures, one of them broken."""
    folder = make_demo(tmp_path_factory.mktemp("batch") / "pictures", 12, 0)
    names = sorted(path for path in folder.rglob("*.jpg"))
    kept = folder.parent / "kept"
    (kept / "authentic").mkdir(parents=True)
    for path in names[:11]:
        shutil.copy(path, kept / path.name)
    (kept / BROKEN).write_bytes(names[0].read_bytes()[:300])
    return kept


def config(place, source, **changes):
    values = {"source": str(source), "out": f"file://{place}/scores", "service": f"local:{place}/service"}
    return BatchConfig.read({**values, "shard_pictures": 5, **changes})


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_bundle):
    """A service with a model, without a server."""
    place = tmp_path_factory.mktemp("place")
    service = open_service(f"local:{place}/service")
    service.swap(ServiceState(None, 0), publish(make_bundle(), f"file://{place}/models"))
    return place


def rows(place):
    parts = sorted(place.joinpath("scores").rglob("*.parquet"))
    return [row for part in parts for row in parquet.read_table(part).to_pylist()]


def test_every_picture_gets_a_row_and_a_second_run_scores_only_what_is_missing(place, pictures, make_bundle):
    first = run_locally(COMPILED / "batch.yaml", config(place, pictures).model_dump(), place / "runs/1")
    found = {row["file"]: row for row in rows(place)}
    assert len(found) == 12
    assert found.pop(BROKEN)["reason"] == "unreadable"
    assert {row["model_version"] for row in found.values()} == {make_bundle().digest}
    assert all(0 <= row["probability_forged"] <= 1 for row in found.values())
    assert "# 12 pictures scored" in first.artifact("summarise-scores", "report").read_text()

    parts = sorted(place.joinpath("scores").rglob("*.parquet"))
    assert len(parts) == 3
    kept = {part: part.stat().st_mtime_ns for part in parts[1:]}
    parts[0].unlink()
    again = run_locally(COMPILED / "batch.yaml", config(place, pictures).model_dump(), place / "runs/2")
    assert "2 of them there already" in again.artifact("summarise-scores", "report").read_text()
    assert {part: part.stat().st_mtime_ns for part in kept} == kept
    assert sorted(place.joinpath("scores").rglob("*.parquet")) == parts


def test_without_a_model_the_run_ends_before_a_picture_is_read_and_leaves_no_temporary_files(
    tmp_path, pictures, monkeypatch
):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    with pytest.raises(RunFailed, match="has no model yet"):
        run_locally(COMPILED / "batch.yaml", config(tmp_path, pictures).model_dump(), tmp_path / "runs")
    assert list(temporary.iterdir()) == []


def test_parts_go_to_a_bucket_and_are_found_there(s3_environment, s3_bucket, tmp_path, pictures, make_bundle):
    list_shards(str(pictures), tmp_path / "listing", 5, DataOptions())
    out = f"s3://{s3_bucket}/scores"

    def score():
        return score_part(tmp_path / "listing", "000001", make_bundle(), str(pictures), out, DataOptions())

    first, second = score(), score()
    assert (first.pictures, first.reused) == (5, 0)
    assert (second.pictures, second.reused, second.labels) == (5, 1, first.labels)
    (stored,) = s3_environment.client().list_objects(s3_bucket, recursive=True)
    assert stored.object_name.startswith(f"scores/{make_bundle().digest[:16]}/000001-")
