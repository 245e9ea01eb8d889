"""The page from choosing files to the verdict, its script run as Streamlit runs it, against a real endpoint."""

import hashlib
import logging
from pathlib import Path
from typing import Any

import pytest
from serving_harness import Pair
from streamlit.testing.v1 import AppTest

from ui.examples import make_examples

pytestmark = pytest.mark.slow
Files = dict[str, bytes]


def html(page: AppTest) -> str:
    """Everything the page wrote itself."""
    assert not page.exception, page.exception
    return "\n".join([str(each.proto.body) for each in page.get("html")] + [each.value for each in page.markdown])


def upload(page: AppTest, files: Files) -> AppTest:
    (uploader,) = page.get("file_uploader")
    uploader.set_value([(name, content, "") for name, content in files.items()])
    return page.run()


def only(files: Files, *names: str) -> Files:
    return {name: files[name] for name in names}


def test_the_first_view_invites_and_says_that_a_model_answers(page: AppTest) -> None:
    shown = html(page.run())
    assert "Was this picture edited?" in shown
    assert "aaaaaaaaaaaa" in shown


def test_a_picture_gets_verdict_evidence_and_record(page: AppTest, jpegs: Files) -> None:
    shown = html(upload(page.run(), only(jpegs, "picture-0.jpg")))
    assert 'data-verdict="authentic"' in shown
    assert "Looks authentic" in shown
    assert "can’t tell who" in shown
    assert [tab.label for tab in page.tabs] == [
        "Error levels",
        "Where the model looked",
        "Repeated regions",
        "Spectrum",
    ]
    assert "Standard quantisation tables, quality 90" in shown


def test_the_bytes_the_endpoint_gets_are_the_bytes_chosen(
    page: AppTest, jpegs: Files, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "serving.request"):
        shown = html(upload(page.run(), only(jpegs, "picture-1.jpg")))
    digest = hashlib.sha256(jpegs["picture-1.jpg"]).hexdigest()
    facts: list[dict[str, Any]] = [record.facts for record in caplog.records if hasattr(record, "facts")]
    received = [fact["pictures"] for fact in facts if "pictures" in fact]
    assert received
    assert all(each == [digest[:16]] for each in received)
    assert digest in shown


def test_controls_change_what_is_seen_and_not_what_is_asked(page: AppTest, jpegs: Files, endpoint: Pair) -> None:
    upload(page.run(), only(jpegs, "picture-0.jpg"))
    asked = len(endpoint.engine.received)
    page.segmented_control[0].set_value("Closer look").run()
    assert "for viewing only" in html(page)
    page.slider(key="quality").set_value(70).run()
    page.slider(key="gain").set_value(40).run()
    assert "Looks authentic" in html(page)
    assert len(endpoint.engine.received) == asked


def test_a_file_that_is_no_picture_is_told_so_in_a_sentence(page: AppTest, jpegs: Files) -> None:
    shown = html(upload(page.run(), only(jpegs, "notes.txt")))
    assert "No verdict" in shown
    assert "This is no picture that can be read; accepted are JPEG" in shown
    assert not page.tabs


def test_a_batch_is_a_table_with_a_row_a_file_and_one_looked_at(page: AppTest, jpegs: Files) -> None:
    upload(page.run(), jpegs)
    shown = html(page)
    assert "4 pictures: 3 authentic, 1 without a verdict" in shown
    table = page.dataframe[0].value
    assert list(table["file"]) == list(jpegs)
    assert table["picture"].str.startswith("data:image/jpeg").sum() == 3
    assert list(table["verdict"]) == ["✓ Authentic"] * 3 + ["– none"]
    page.selectbox[0].select("3. picture-2.jpg").run()
    assert hashlib.sha256(jpegs["picture-2.jpg"]).hexdigest() in html(page)


def test_equal_files_are_asked_about_once(page: AppTest, jpegs: Files, endpoint: Pair) -> None:
    same = dict.fromkeys(("a.jpg", "b.jpg", "c.jpg"), jpegs["picture-2.jpg"])
    page.run()
    before = len(endpoint.engine.received)
    upload(page, same)
    assert list(page.dataframe[0].value["file"]) == list(same)
    verdict_and_evidence = 2
    assert len(endpoint.engine.received) == before + verdict_and_evidence


def test_an_endpoint_that_is_away_is_told_and_asked_again(
    page: AppTest, jpegs: Files, endpoint: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORGERY_URL", "http://127.0.0.1:9")
    shown = html(upload(page.run(), only(jpegs, "picture-0.jpg")))
    assert "the endpoint does not answer" in shown
    assert "Start it with “forgery serve”" in shown
    monkeypatch.setenv("FORGERY_URL", endpoint.transformer.url)
    next(each for each in page.button if each.label == "Ask again").click().run()
    assert "Looks authentic" in html(page)


def test_a_model_that_comes_meanwhile_tells_the_whole_story(page: AppTest, jpegs: Files) -> None:
    upload(page.run(), only(jpegs, "picture-0.jpg"))
    (sha256,) = page.session_state["verdicts"]
    older = page.session_state["verdicts"][sha256]
    object.__setattr__(older.answer, "model_version", "an older one")
    object.__setattr__(older.answer, "label", "forged")
    assert 'data-verdict="authentic"' in html(page.run())
    assert page.session_state["verdicts"][sha256].answer.model_version == "a" * 32


def test_examples_can_be_tried_and_left(page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGERY_EXAMPLES", str(make_examples(tmp_path / "examples")))
    page.run()
    (button,) = [each for each in page.button if each.label == "Something pasted in"]
    button.click().run()
    assert "data-verdict" in html(page)
    next(each for each in page.button if each.label == "Start over").click().run()
    assert "Was this picture edited?" in html(page)


def test_downloads_are_offered(page: AppTest, jpegs: Files) -> None:
    upload(page.run(), only(jpegs, "picture-0.jpg", "picture-1.jpg"))
    labels = [each.proto.label for each in page.get("download_button")]
    assert sorted(labels) == ["CSV", "JSON", "JSON", "Report (HTML)"]
