"""Files that are written from the code agree with it."""

from pathlib import Path

from tools.check_generated import ROOT, generate, stale


def test_committed_files_are_what_the_code_generates() -> None:
    assert stale(generate(), ROOT) == [], "run `make compile`"


def test_altered_and_missing_files_are_named(tmp_path: Path) -> None:
    generated = {Path("same.md"): "text", Path("altered.md"): "text", Path("missing.md"): "text"}
    (tmp_path / "same.md").write_text("text")
    (tmp_path / "altered.md").write_text("older text")
    (tmp_path / "unrelated.md").write_text("work in progress")
    assert stale(generated, tmp_path) == [Path("altered.md"), Path("missing.md")]
