from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from tools import generate_reference
from tools.markdown import table_cell


class Group(BaseModel):
    """What belongs together."""

    limit: int | None = Field(3, ge=0, lt=9, description="Most <things>|all.")


class Options(BaseModel):
    """Not shown."""

    kind: Literal["a", "b"] = Field("a", description="Which.")
    names: dict[str, list[str]] = Field({}, description="Groups of names.")
    group: Group = Field(Group(), description="Not shown.")


def test_every_parameter_has_a_row_with_type_range_default_and_meaning() -> None:
    text = "".join(generate_reference.parameter_tables(Options))
    assert '| `kind` | `a` or `b` | `"a"` | Which. |' in text
    assert "| `names` | text to list of text | `{}` | Groups of names. |" in text
    assert "## group\n\nWhat belongs together." in text
    assert "| `group.limit` | integer or null, ≥ 0, < 9 | `3` | Most &lt;things&gt;\\|all. |" in text


def test_commands_page_shows_sub_commands_with_options() -> None:
    page = generate_reference.render()[Path("docs/reference/commands.md")]
    assert "\n## forgery rollout undo\n" in page
    assert "| `--to` |" in page


def test_table_cell_stays_on_one_line() -> None:
    assert table_cell("a\n  b") == "a b"


def test_metrics_page_shows_every_metric_with_its_labels() -> None:
    page = generate_reference.render()[Path("docs/reference/metrics.md")]
    assert "| `forgery_requests_total` | counter | `protocol`, `code` | " in page
    assert "| `forgery_requests_inside` | gauge |  | " in page
