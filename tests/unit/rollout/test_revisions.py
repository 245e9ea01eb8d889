import pytest

from forgery.errors import InvalidConfig
from forgery.rollout.port import Revision
from forgery.rollout.revisions import forgettable, head, next_number, undo_target


def revision(number: int, uri: str, outcome: str = "serving") -> Revision:
    return Revision.model_validate(
        {
            "number": number,
            "storage_uri": uri,
            "model_version": uri.lower(),
            "f1": 0.8,
            "run_id": f"run-{number}",
            "created_at": "2026-01-01T00:00:00+00:00",
            "reason": "deploy",
            "outcome": outcome,
        }
    )


def history(text: str) -> list[Revision]:
    """`A B c A`: one revision a letter, numbered from 1; small letters failed."""
    return [
        revision(number, letter.upper(), "serving" if letter.isupper() else "failed")
        for number, letter in enumerate(text.split(), start=1)
    ]


def test_numbers_start_at_one_and_go_on_after_the_highest_kept() -> None:
    assert next_number([]) == 1
    assert next_number([revision(7, "A"), revision(3, "B")]) == 8


def test_head_is_the_newest_revision_that_served() -> None:
    assert head([]) is None
    newest = head(history("A B c"))
    assert newest is not None
    assert newest.number == 2


@pytest.mark.parametrize(
    ("entries", "in_service", "expected"),
    [
        ("A B", "B", 1),
        ("A B c", "B", 1),  # what failed is never gone back to
        ("A B B", "B", 1),  # nor the same bundle under another number
        ("A B A", "A", 2),  # undo of an undo
        ("A B C", "C", 2),
        ("A B", "A", 1),  # an undo that was killed before it was recorded is completed
        ("A B", "C", 2),  # a deploy that was never recorded is taken back to the head
        ("A", "C", 1),
        ("A", None, 1),
    ],
)
def test_undo_goes_to(entries: str, in_service: str | None, expected: int) -> None:
    assert undo_target(history(entries), in_service, None).number == expected


def test_undo_to_a_number_goes_there() -> None:
    assert undo_target(history("A B C"), "C", 1).storage_uri == "A"


@pytest.mark.parametrize(
    ("entries", "to", "message"),
    [
        ("", None, "no revision has come into service yet"),
        ("a b", None, "no revision has come into service yet"),
        ("A", None, "no bundle was served before that of revision 1"),
        ("A b A", None, "no bundle was served before"),
        ("A B", 9, "no revision 9; those that can be gone back to: 1, 2"),
        ("A b C", 2, "revision 2 never came into service; those that did: 1, 3"),
        ("", 1, "no revision 1; those that can be gone back to: none"),
    ],
)
def test_undo_says_why_it_cannot(entries: str, to: int | None, message: str) -> None:
    in_service = head(history(entries))
    with pytest.raises(InvalidConfig, match=message):
        undo_target(history(entries), in_service.storage_uri if in_service else None, to)


@pytest.mark.parametrize(
    ("entries", "in_service", "keep", "forgotten"),
    [
        ("A B C D", "D", 2, [1, 2]),
        ("A B C D", "D", 9, []),
        ("A B c d e f", "B", 2, [3, 4]),  # a row of failures pushes out neither what serves nor what undo goes to
        ("A B C D", "A", 1, [2]),  # A serves, D is the head, C is what undo goes to
        ("A A A A", "A", 1, [1, 2, 3]),
    ],
)
def test_old_revisions_are_forgotten(entries: str, in_service: str, keep: int, forgotten: list[int]) -> None:
    assert [entry.number for entry in forgettable(history(entries), in_service, keep)] == forgotten


def test_a_history_keeps_at_least_one() -> None:
    with pytest.raises(InvalidConfig, match="at least 1"):
        forgettable([], None, 0)
