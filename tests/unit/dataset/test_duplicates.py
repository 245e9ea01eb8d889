import io
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from forgery.dataset.duplicates import NEAR_BITS, difference_hash
from forgery.dataset.looked import Looked, Pairs, Seen
from forgery.dataset.traits import Traits


def opened(encoded: bytes) -> Image.Image:
    return Image.open(io.BytesIO(encoded)).convert("RGB")


def pairs_of(hashes: Sequence[int]) -> Pairs:
    """Pictures named by their number, each a group of its own."""
    traits = Traits("JPEG", "8x8", "RGB")
    pictures = (
        Seen("authentic", f"group-{number}", "train", str(number), traits, int(each), number.to_bytes(4))
        for number, each in enumerate(hashes)
    )
    with Looked(pictures) as looked:
        return looked.near_pairs(shown=2000)


def near_pairs(hashes: Sequence[int]) -> list[tuple[int, int]]:
    found = pairs_of(hashes)
    assert found.count == len(found.first)
    return [(int(pair.first.name), int(pair.second.name)) for pair in found.first]


@given(st.lists(st.integers(0, 2**64 - 1), max_size=60), st.data())
@settings(max_examples=40, deadline=None)
def test_exactly_the_pairs_within_the_distance_are_found(hashes: list[int], data: st.DataObject) -> None:
    if hashes:
        # Random hashes are all but never near: make some that are.
        flips = st.sets(st.integers(0, 63), max_size=5)
        originals = data.draw(st.lists(st.sampled_from(hashes), max_size=20))
        hashes = hashes + [each ^ sum(1 << bit for bit in data.draw(flips)) for each in originals]
    detailed = [6 <= value.bit_count() <= 58 for value in hashes]
    expected = [
        (i, j)
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if detailed[i] and detailed[j] and (hashes[i] ^ hashes[j]).bit_count() <= NEAR_BITS
    ]
    assert near_pairs(hashes) == expected


@pytest.mark.parametrize("seed", range(8))
def test_a_copy_saved_again_or_resized_is_near(seed: int, picture) -> None:
    original = opened(picture(seed, size=(256, 192)))
    saved = io.BytesIO()
    original.save(saved, "JPEG", quality=60)
    half = original.resize((128, 96))
    hashes = [difference_hash(each) for each in (original, opened(saved.getvalue()), half)]
    assert near_pairs(hashes) == [(0, 1), (0, 2), (1, 2)]


def test_unrelated_pictures_are_not_near(picture) -> None:
    assert len(near_pairs([difference_hash(opened(picture(seed))) for seed in range(50)])) == 0


def test_flat_pictures_are_not_called_copies_of_each_other() -> None:
    flat = [difference_hash(Image.new("RGB", (64, 64), (level, level, level))) for level in range(0, 250, 10)]
    assert near_pairs(flat) == []


def test_many_copies_are_all_paired() -> None:
    assert pairs_of([0x0123456789ABCDEF] * 300).count == 300 * 299 // 2
