"""A correction from the page to the next training's image set."""

from pathlib import Path

import pytest
from serving_harness import bundle_of
from streamlit.testing.v1 import AppTest

from forgery.config import DataOptions
from forgery.dataset.ingest import ingest
from forgery.dataset.manifest import read_pictures
from forgery.feedback import Correction

pytestmark = pytest.mark.slow
Files = dict[str, bytes]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "feedback"


@pytest.fixture
def asked(page: AppTest, jpegs: Files, place: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    """The page with a verdict on it, and a place for corrections."""
    monkeypatch.setenv("FORGERY_FEEDBACK", str(place))
    (uploader,) = page.run().get("file_uploader")
    uploader.set_value([("picture-0.jpg", jpegs["picture-0.jpg"], "")])
    return page.run()


def corrections(place: Path) -> list[Correction]:
    return [Correction.model_validate_json(path.read_bytes()) for path in sorted(place.glob("corrections/*"))]


def fill(page: AppTest, agreed: bool) -> AppTest:
    page.radio[0].set_value("It is forged")
    page.text_input[0].set_value("anna")
    page.text_input[1].set_value("I made it")
    page.checkbox[0].set_value(agreed)
    (button,) = (each for each in page.button if each.label == "Send the correction")
    return button.click().run()


def test_a_correction_reaches_the_next_training(asked: AppTest, jpegs: Files, place: Path, tmp_path: Path) -> None:
    page = fill(asked, agreed=True)
    assert not page.exception
    assert [each.value for each in page.success] == ["Thank you. Your correction was kept, with the picture."]
    (correction,) = corrections(place)
    assert (correction.label, correction.by, correction.because) == ("forged", "anna", "I made it")
    assert correction.given is not None
    assert (correction.given.label, correction.given.model_version) == ("authentic", bundle_of().digest)
    for index, name in enumerate(("picture-1.jpg", "picture-2.jpg")):
        path = tmp_path / "set" / ("authentic", "forged")[index] / name
        path.parent.mkdir(parents=True)
        path.write_bytes(jpegs[name])
    ingest(f"{tmp_path / 'set'} + feedback:{place}", tmp_path / "image_set", DataOptions(), seed=0)
    assert correction.digest in {row.digest for row in read_pictures(tmp_path / "image_set") if row.label == "forged"}


def test_the_picture_stays_with_the_person_unless_they_agree(asked: AppTest, place: Path) -> None:
    fill(asked, agreed=False)
    assert len(corrections(place)) == 1
    assert not (place / "pictures").exists()


def test_a_correction_without_reason_or_name_is_not_kept(asked: AppTest, place: Path) -> None:
    (button,) = (each for each in asked.button if each.label == "Send the correction")
    page = button.click().run()
    assert [each.value for each in page.error] == ["Say what the picture is, who you are and how you know."]
    assert not place.exists()


def test_without_a_place_nothing_is_asked(page: AppTest, jpegs: Files) -> None:
    (uploader,) = page.run().get("file_uploader")
    uploader.set_value([("picture-0.jpg", jpegs["picture-0.jpg"], "")])
    assert [each.label for each in page.run().expander] == []
