"""Every picture of a source is in one shard, and nothing else is."""

import pytest

from forgery.batch.config import BatchConfig
from forgery.batch.listing import list_shards, read_shard
from forgery.config import DataOptions
from forgery.errors import InvalidConfig, SourceError, StorageError
from forgery.places import open_place


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "pictures"
    for name in (
        "b.JPG",
        "a.jpg",
        "deep/c.png",
        "d.tiff",
        "e.webp",
        "notes.txt",
        "mask.csv",
        "masks/b.png",
        "a_gt.png",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_shards_part_the_sorted_names(source, tmp_path):
    shards = list_shards(str(source), tmp_path / "listing", 2, DataOptions())
    assert shards == ["000000", "000001", "000002"]
    assert [read_shard(tmp_path / "listing", shard) for shard in shards] == [
        ["a.jpg", "b.JPG"],
        ["d.tiff", "deep/c.png"],
        ["e.webp"],
    ]


def test_a_listing_is_made_again_in_place_of_the_old(source, tmp_path):
    for size in (1, 5):
        shards = list_shards(str(source), tmp_path / "listing", size, DataOptions())
    assert shards == ["000000"]
    assert not (tmp_path / "listing" / "000004.json").exists()


def test_a_source_without_pictures_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=r"holds no file named \*\.jpg"):
        list_shards(str(tmp_path / "empty"), tmp_path / "listing", 2, DataOptions())


def test_more_pictures_than_allowed_are_refused(source, tmp_path):
    with pytest.raises(InvalidConfig, match=r"holds 5 pictures, over data.max_pictures=3"):
        list_shards(str(source), tmp_path / "listing", 2, DataOptions(max_pictures=3))


def test_a_part_is_read_as_it_was_written_and_absent_before(tmp_path):
    store = open_place(f"file://{tmp_path}/scores")
    assert store.read("model/part") is None
    store.write("model/part", b"one")
    assert store.read("model/part") == b"one"
    assert [path.name for path in (tmp_path / "scores/model").iterdir()] == ["part"]


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "scores").write_text("a file")
    with pytest.raises(StorageError, match="cannot be written"):
        open_place(str(tmp_path / "scores")).write("model/part", b"one")


@pytest.mark.parametrize("out", ["", "gs://bucket/x"])
def test_a_place_of_no_known_form_is_refused(out):
    with pytest.raises(InvalidConfig, match="accepted are s3://"):
        open_place(out)


def test_a_wrong_parameter_is_refused_by_name():
    with pytest.raises(InvalidConfig, match="shard_pictures"):
        BatchConfig.read({"shard_pictures": 0})
