import logging

from forgery.rollout.port import Revision
from forgery.steps.deploy import markdown, record_champion

REVISION = Revision(
    number=3,
    storage_uri="s3://models/abc",
    model_version="abc",
    f1=None,
    run_id="run",
    created_at="2026-01-01T00:00:00+00:00",
    reason="deploy",
    outcome="serving",
    message="the service answers with abc",
)


def test_a_tracking_server_that_is_away_costs_no_deployment(make_light_bundle, caplog):
    with caplog.at_level(logging.WARNING, "forgery.steps.deploy"):
        record_champion("http://127.0.0.1:9", make_light_bundle("one"), REVISION)
    assert "revision 3 serves, but the alias champion was not moved" in caplog.text


def test_a_revision_is_shown_with_what_is_known_of_it():
    page = markdown("kserve:a/b", REVISION)
    assert page.startswith("# Revision 3 of kserve:a/b")
    assert "F1 unknown" in page
