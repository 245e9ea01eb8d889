"""What the page says of the model that answered."""

from pathlib import Path

import pytest

from ui.endpoint import Model
from ui.quality import UNKNOWN, card_link, card_place, card_text, describe

VERSION = "a" * 32
TOLD = {"f1": "0.81", "f1_low": "0.77", "f1_high": "0.85", "model_card": f"{VERSION}/model_card.md"}


def model(**properties: str) -> Model:
    return Model("forgery", (VERSION,), frozenset(), properties)


def test_f1_is_told_with_its_interval() -> None:
    assert describe(model(**TOLD), VERSION) == "F1 0.81 [0.77, 0.85] of forged, on pictures it had not seen"
    assert describe(model(f1="0.81"), VERSION) == "F1 0.81 of forged, on pictures it had not seen"


def test_figures_of_another_model_are_not_this_ones() -> None:
    assert describe(model(**TOLD), "b" * 32) == UNKNOWN
    assert card_place(model(**TOLD), "b" * 32) is None
    assert describe(model(), VERSION) == UNKNOWN


def test_the_card_is_linked_where_bundles_have_a_web_address() -> None:
    place = card_place(model(**TOLD), VERSION)
    assert place is not None
    assert card_link("https://models.example/x/", place) == f"https://models.example/x/{VERSION}/model_card.md"
    assert card_link("/srv/models", place) is None


@pytest.mark.parametrize("place", ["../../etc/passwd", f"{VERSION}/../x.md", "javascript:alert(1)", ""])
def test_a_place_that_is_no_cards_is_none(place: str) -> None:
    assert card_place(model(model_card=place), VERSION) is None


def test_the_card_is_read_where_bundles_lie_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / VERSION).mkdir()
    (tmp_path / VERSION / "model_card.md").write_text("# Card")
    assert card_text(str(tmp_path), f"{VERSION}/model_card.md") == "# Card"
    assert card_text(str(tmp_path / "elsewhere"), f"{VERSION}/model_card.md") is None
