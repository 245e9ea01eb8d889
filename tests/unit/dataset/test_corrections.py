"""Corrected verdicts on their way into an image set."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from forgery.config import DataOptions
from forgery.dataset.ingest import ingest
from forgery.dataset.listing import split_sources
from forgery.dataset.manifest import read_pictures, read_rejects
from forgery.errors import PictureRejected, StorageError
from forgery.feedback import Correction, Given, keep

GIVEN = Given(label="forged", probability_forged=0.9, model_version="a" * 32)


def picture(seed: int) -> bytes:
    encoded = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), np.uint8)
    Image.fromarray(pixels).save(encoded, "JPEG", quality=90)
    return encoded.getvalue()


def correct(place: Path, seed: int, label: str = "authentic", by: str = "anna", hand_over: bool = True) -> Correction:
    correction = Correction.of(picture(seed), label, by, "raw file seen", GIVEN, hand_over)
    keep(str(place), correction, picture(seed))
    return correction


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "feedback"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for seed in range(12):
        path = tmp_path / "pictures" / ("forged" if seed % 2 else "authentic") / f"{seed}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(100 + seed))
    return tmp_path / "pictures"


def test_a_picture_that_was_handed_over_joins_the_set_with_its_provenance(
    place: Path, pictures: Path, tmp_path: Path
) -> None:
    correction = correct(place, 1)
    info = ingest(f"{pictures} + feedback:{place}", tmp_path / "set", DataOptions(), seed=0)
    assert (info.pictures, info.layout) == (13, "folders+feedback")
    (joined,) = (row for row in read_pictures(tmp_path / "set") if row.digest == correction.digest)
    assert (joined.label, joined.manipulation) == ("authentic", "corrected verdict")
    assert joined.name == f"pictures/{correction.digest}.jpg"


def test_what_cannot_be_learnt_from_is_listed_with_the_reason(place: Path, pictures: Path, tmp_path: Path) -> None:
    private = correct(place, 1, hand_over=False)
    disputed = correct(place, 2, "authentic")
    correct(place, 2, "forged", by="ben")
    swapped = correct(place, 3)
    (place / "pictures" / str(swapped.picture)).write_bytes(picture(4))
    (place / "corrections" / "notes.json").write_text("{}")
    known = Correction.of(picture(101), "authentic", "anna", "seen", None, keep_picture=True)
    keep(str(place), known, picture(101))
    info = ingest(f"{pictures} + feedback:{place}", tmp_path / "set", DataOptions(), seed=0)
    rejects = {row.name: (row.reason, row.message) for row in read_rejects(tmp_path / "set")}
    assert rejects[private.digest] == ("kept", "the picture itself was not handed over (anna: authentic)")
    assert rejects[disputed.digest][0] == "conflict"
    assert "anna: authentic, ben: forged" in rejects[disputed.digest][1]
    assert rejects[f"pictures/{swapped.picture}"][0] == "digest"
    assert rejects["corrections/notes.json"][0] == "unreadable"
    # Against the label of the set itself nobody wins: the picture is in neither class.
    assert rejects[f"pictures/{known.picture}"][0] == "conflict"
    assert info.pictures == 11


def test_a_name_that_leads_elsewhere_leads_nowhere(place: Path, pictures: Path, tmp_path: Path) -> None:
    correction = correct(place, 1)
    (path,) = (place / "corrections").iterdir()
    path.write_text(json.dumps({**json.loads(path.read_text()), "picture": "../../pictures/forged/1.jpg"}))
    ingest(f"{pictures} + feedback:{place}", tmp_path / "set", DataOptions(), seed=0)
    assert correction.digest in {row.name for row in read_rejects(tmp_path / "set")}


def test_corrections_that_agree_are_one_picture(place: Path, pictures: Path, tmp_path: Path) -> None:
    correct(place, 1, by="anna", hand_over=False)
    correct(place, 1, by="ben")
    assert ingest(f"{pictures} + feedback:{place}", tmp_path / "set", DataOptions(), seed=0).pictures == 13


def test_sources_are_joined_each_with_its_own_layout(pictures: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    (more / "x.jpg").write_bytes(picture(1))
    (more / "manifest.csv").write_text("file,label\nx.jpg,forged\n")
    info = ingest(f"{pictures} + {more}", tmp_path / "set", DataOptions(), seed=0)
    assert (info.pictures, info.layout) == (13, "folders+manifest")
    assert split_sources("a+b/ + s3://x/y") == ["a+b/", "s3://x/y"]


def test_what_is_no_picture_and_who_says_nothing_is_refused(place: Path) -> None:
    with pytest.raises(PictureRejected):
        Correction.of(b"no picture", "forged", "anna", "seen", None, keep_picture=True)
    for label, by, because in (("maybe", "anna", "seen"), ("forged", " ", "seen"), ("forged", "anna", "")):
        with pytest.raises(ValidationError):
            Correction.of(picture(1), label, by, because, None, keep_picture=False)


def test_without_consent_no_byte_of_the_picture_is_kept(place: Path) -> None:
    correct(place, 1, hand_over=False)
    assert [path.parent.name for path in place.rglob("*") if path.is_file()] == ["corrections"]


def test_a_place_that_refuses_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        correct(tmp_path / "file", 1)
