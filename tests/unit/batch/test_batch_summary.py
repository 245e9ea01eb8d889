"""Counts of parts add up exactly, in any order."""

from hypothesis import given
from hypothesis import strategies as st

from forgery.batch.parts import BINS, PartCounts, counts
from forgery.batch.summary import markdown, merge, read_counts
from forgery.scoring import FailedPicture, ScoredPicture

_DIGEST = "ab" * 32
ROW = st.one_of(
    st.builds(
        ScoredPicture,
        st.just("a"),
        st.sampled_from(["authentic", "forged", "inconclusive"]),
        st.floats(0, 1),
        st.just(0.5),
        st.just(_DIGEST),
    ),
    st.builds(FailedPicture, st.just("b"), st.just("broken"), st.sampled_from(["truncated", "too large"])),
)


@given(st.lists(st.lists(ROW, max_size=6), max_size=5))
def test_parts_add_up_to_the_whole(parts):
    total, whole = merge(map(counts, parts)), counts([row for part in parts for row in part])
    assert total.parts == len(parts)
    assert (total.pictures, total.labels, total.failures, total.scores) == (
        whole.pictures,
        whole.labels,
        whole.failures,
        whole.scores,
    )
    assert merge(map(counts, parts[::-1])) == total
    assert sum(total.scores.values()) == sum(total.labels.values())


def test_a_probability_of_one_is_in_the_last_bin():
    assert counts([ScoredPicture("a", "forged", 1.0, 0.5, _DIGEST)]).scores == {str(BINS - 1): 1}


def test_counts_survive_a_pipeline_that_makes_floats_of_them():
    part = PartCounts(3, {"forged": 2}, {"truncated": 1}, {"19": 2}, 0, 1)
    as_floats = {
        name: {key: float(count) for key, count in value.items()} if isinstance(value, dict) else float(value)
        for name, value in part.to_dict().items()
    }
    assert read_counts(as_floats) == part


def test_the_summary_names_verdicts_failures_and_place():
    text = markdown(PartCounts(4, {"forged": 3}, {"truncated": 1}, {"19": 3}, 1, 2), "s3://b/scores", _DIGEST)
    assert "# 4 pictures scored" in text
    assert "| forged | 3 | 75" in text
    assert "| no verdict: truncated | 1 | 25" in text
    assert "s3://b/scores" in text
    assert "1 of them there already" in text
