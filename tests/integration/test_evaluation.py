import io
import json
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from forgery.bundle import INFO_FILE, LITE_MODEL, SAVED_MODEL, SUMS_FILE, Bundle, open_bundle
from forgery.config import RunConfig
from forgery.dataset.manifest import DatasetInfo, Picture, ShardInfo, Split, read_pictures
from forgery.dataset.packs import Packs, PackWriter
from forgery.dataset.shards import read_encoded
from forgery.engine import Engine
from forgery.errors import DataRejected, SourceError
from forgery.evaluation import answers
from forgery.evaluation.answers import ask
from forgery.evaluation.card import model_card
from forgery.evaluation.contest import score_part
from forgery.evaluation.evaluate import evaluate
from forgery.evaluation.examples import collect_examples
from forgery.evaluation.plan import Plan
from forgery.evaluation.report import report_html
from forgery.evaluation.scores import Comparison
from forgery.golden import check_golden
from forgery.histories import SaveList
from forgery.metrics import estimates
from forgery.picture import decode
from forgery.recipes import evidence
from forgery.recipes.ela import ElaRecipe
from forgery.scoring import FailedPicture, ScoredPicture, score_pictures
from forgery.training.export import DRAFT_FILE
from forgery.views import in_view

CONFIG = RunConfig.read({"rule": {"bootstrap_draws": 100, "sample_pictures": 16, "robustness_pictures": 8}})
OTHER_RECIPE = "ela1_q75_gain10_luma_48_box"


def encoded_picture(index: int, forged: bool) -> bytes:
    random = np.random.default_rng(index)
    coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8)).resize((64, 48))
    if forged:
        coarse.paste(Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)), (2, 2))
    target = io.BytesIO()
    # Forged files are saved otherwise: the header-only baseline is to find that.
    coarse.save(target, "PNG") if index % 10 == 0 else coarse.save(target, "JPEG", quality=70 if forged else 92)
    return target.getvalue()


def encoded_mask() -> bytes:
    mask = Image.new("L", (64, 48))
    mask.paste(255, (2, 2, 18, 18))
    target = io.BytesIO()
    mask.save(target, "PNG")
    return target.getvalue()


def write_image_set(folder: Path, only: str | None = None) -> Path:
    counts: dict[str, dict[str, int]] = {}
    rows: list[Picture] = []
    (folder / "packs").mkdir(parents=True)
    pack = PackWriter(folder / "packs")
    for split, pictures in (("train", 40), ("validation", 20), ("test", 24)):
        items = sorted(_items(split, pictures, only), key=lambda item: item[0].digest)
        for at, (row, content) in enumerate(items):
            mask = [(row.mask_member, encoded_mask())] if row.mask_member else []
            offset, length = pack.add([(row.member, content), *mask])
            rows.append(row.model_copy(update={"shard": f"{split}-{at // 7:05d}", "offset": offset, "length": length}))
        counts[split] = {label: sum(row.label == label for row, _ in items) for label in ("authentic", "forged")}
    name = pack.finish()
    rows = sorted((row.model_copy(update={"pack": name}) for row in rows), key=lambda row: row.digest)
    (folder / "manifest.jsonl").write_text("".join(row.model_dump_json() + "\n" for row in rows))
    info = DatasetInfo(
        digest="d" * 64, layout="test", seed=0, pictures=len(rows), rejects=0, counts=counts, shards=shards_of(rows)
    )
    (folder / "dataset.json").write_text(info.model_dump_json())
    return folder


def shards_of(rows: list[Picture]) -> list[ShardInfo]:
    held = {name: [row for row in rows if row.shard == name] for name in sorted({row.shard for row in rows})}
    return [
        ShardInfo(
            name=name,
            split=each[0].split,
            pictures=len(each),
            bytes=sum(row.bytes for row in each),
            first=each[0].digest,
            last=each[-1].digest,
        )
        for name, each in held.items()
    ]


def _items(split: Any, pictures: int, only: str | None) -> Iterator[tuple[Picture, bytes]]:
    for index in range(pictures):
        forged = index % 2 == 1 if only is None or split != "test" else only == "forged"
        content = encoded_picture(hash_of(split) + index, forged)
        digest = f"{split[0]}{index * 37 % 101:063d}"
        manipulation = ("splice" if index % 4 == 1 else "copy-move") if forged else None
        form = "PNG" if content.startswith(b"\x89PNG") else "JPEG"
        yield (
            Picture(
                digest=digest,
                label="forged" if forged else "authentic",
                group=f"{split}-{index // 2}",
                split=split,
                name=f"{split}/{index}.jpg",
                format=form,
                width=64,
                height=48,
                bytes=len(content),
                manipulation=manipulation,
                shard="",
                pack="",
                offset=0,
                length=0,
                member=f"{digest}.{form.lower()}",
                # One forged picture came without a mask.
                mask_member=f"{digest}.mask.png" if forged and index != 1 else None,
            ),
            content,
        )


def hash_of(split: Split) -> int:
    return {"train": 0, "validation": 1000, "test": 2000}[split]


@pytest.fixture(scope="module")
def image_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_image_set(tmp_path_factory.mktemp("image_set"))


@pytest.fixture(scope="module")
def champion(make_bundle: Callable[..., Bundle]) -> Bundle:
    return make_bundle(recipe=OTHER_RECIPE, seed=1)


@pytest.fixture(scope="module")
def draft(make_bundle: Callable[..., Bundle], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("draft") / "draft"
    return as_draft(make_bundle(seed=0), folder)


def table_heads(markdown: str) -> list[tuple[str, str]]:
    """First and second line of each table."""
    lines = markdown.splitlines()
    return [
        (line, below)
        for above, line, below in zip(["", *lines], lines, [*lines[1:], ""], strict=False)
        if line.startswith("|") and not above.startswith("|")
    ]


def as_draft(bundle: Bundle, folder: Path) -> Path:
    shutil.copytree(bundle.path, folder, ignore=shutil.ignore_patterns(INFO_FILE, SUMS_FILE, "model_card.md"))
    (folder / DRAFT_FILE).write_text(bundle.info.model_copy(update={"metrics": {}}).model_dump_json())
    return folder


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluated") / "bundle"


@pytest.fixture(scope="module")
def comparison(image_set: Path, draft: Path, champion: Bundle, sealed: Path) -> Comparison:
    return evaluate(image_set, draft, champion, sealed, CONFIG)


def test_each_model_is_scored_with_its_own_recipe(
    comparison: Comparison, image_set: Path, sealed: Path, champion: Bundle
) -> None:
    assert comparison.champion is not None
    for scores, bundle in ((comparison.challenger, open_bundle(sealed)), (comparison.champion, champion)):
        engine = Engine(bundle)
        alone = {
            picture.digest: engine.predict(evidence(content, bundle.recipe)[None])["probability_forged"][0]
            for picture, content in read_encoded(image_set, ("test",))
        }
        assert scores.recipe == bundle.info.recipe
        assert scores.pictures.digests == sorted(alone)
        raw = scores.views["raw"]
        np.testing.assert_allclose(raw.probabilities, [alone[each] for each in scores.pictures.digests], atol=1e-5)


def test_judged_views_hold_every_picture_and_others_a_sample_of_both_classes(comparison: Comparison) -> None:
    for scores in (comparison.challenger, comparison.champion):
        assert scores is not None
        assert list(scores.views) == ["raw", "harmonised", "matched", "shared"]
        assert scores.judged == ["raw", "harmonised"]
        assert scores.views["harmonised"].pictures == list(range(24))
        for view in ("matched", "shared"):
            sampled = scores.views[view].pictures
            assert [scores.pictures.labels[at] for at in sampled].count(1) == len(sampled) / 2 == 8
        pooled = [each for view in scores.judged for each in scores.views[view].probabilities]
        assert scores.outcome.probabilities.tolist() == pooled
        assert estimates(scores.outcome, scores.groups_of(scores.positions), draws=100) == scores.metrics


def test_views_show_the_copies_they_name(comparison: Comparison, image_set: Path, sealed: Path) -> None:
    bundle = open_bundle(sealed)
    engine, scores = Engine(bundle), comparison.challenger
    files = {picture.digest: content for picture, content in read_encoded(image_set, ("test",))}
    for view in ("harmonised", "shared"):
        copies = [in_view(view, decode(files[scores.pictures.digests[at]])) for at in scores.views[view].pictures]
        alone = engine.predict(np.stack([bundle.recipe.compute(each) for each in copies]))["probability_forged"]
        np.testing.assert_allclose(scores.views[view].probabilities, alone, atol=1e-5)
    matched, harmonised = scores.views["matched"], scores.views["harmonised"].probabilities
    for at, probability in zip(matched.pictures, matched.probabilities, strict=True):
        # Authentic pictures went through a save of a forged one first, forged ones are those of `harmonised`.
        forged = scores.pictures.labels[at] == 1
        assert (probability == pytest.approx(harmonised[at], abs=1e-5)) is forged


def test_controls_and_maps_are_taken_where_a_mask_tells_the_place(comparison: Comparison) -> None:
    scores = comparison.challenger
    labels = np.asarray(scores.pictures.labels)
    for name, view in scores.views.items():
        assert view.control is not None
        if name == "matched":  # forged pictures are those of `harmonised` there, and so would the maps be
            assert view.maps is None
            continue
        assert view.maps is not None
        controls, maps = view.control.pictures, view.maps.pictures
        assert 6 <= labels[controls].sum() <= 8
        assert (labels[controls] == 0).sum() == 8
        assert labels[maps].all()
        assert set(view.maps.figures) == {"map", "ela", "centre"}
        for figures in view.maps.figures.values():
            for values in figures.values():
                assert len(values) == len(maps)
                assert all(0 <= value <= 1 for value in values)
    # These patches lie in a corner, where a box in the middle does not look.
    raw = scores.views["raw"].maps
    assert raw is not None
    assert raw.figures["centre"]["auc"][0] < 0.5
    assert raw.figures["centre"]["f1"][0] < 0.2


def test_robustness_is_measured_on_a_few_pictures_in_every_damage(comparison: Comparison) -> None:
    found = comparison.challenger.robustness
    assert found is not None
    assert len(found.pictures) == 8
    assert [(each.damage, each.level) for each in found.points][:3] == [("jpeg", 100), ("jpeg", 90), ("jpeg", 80)]
    assert {each.damage for each in found.points} == {"jpeg", "resize", "blur", "noise"}
    assert all(len(each.probabilities) == 8 for each in found.points)


def test_what_is_not_asked_for_costs_nothing(image_set: Path, draft: Path, tmp_path: Path) -> None:
    rule = {"bootstrap_draws": 100, "views": ["raw"], "sample_pictures": 2, "robustness_pictures": 0}
    config = RunConfig.read({"rule": rule})
    scores = evaluate(image_set, draft, None, tmp_path / "bundle", config).challenger
    assert [len(view.pictures) for view in scores.views.values()] == [24, 2, 2, 2]
    assert scores.metrics == scores.views["raw"].metrics
    assert scores.robustness is None
    assert "Robustness" not in (tmp_path / "bundle" / "model_card.md").read_text()


def test_the_bundle_is_sealed_whole_with_its_metrics_and_card(comparison: Comparison, sealed: Path) -> None:
    bundle = open_bundle(sealed)
    assert bundle.digest == comparison.challenger.model_version
    assert bundle.info.metrics["f1"] == comparison.challenger.metrics["f1"].value
    assert bundle.info.metrics["f1_low"] <= bundle.info.metrics["f1"] <= bundle.info.metrics["f1_high"]
    headline = bundle.info.headline
    assert headline is not None
    assert (headline.metric, headline.value, headline.split) == ("f1", bundle.info.metrics["f1"], "test")
    assert (headline.views, headline.pictures) == (("raw", "harmonised"), 24)
    assert (sealed / headline.card).is_file()
    assert not (sealed / DRAFT_FILE).exists()
    assert [path.name for path in sealed.parent.iterdir()] == ["bundle"]
    check_golden(bundle, Engine(bundle))


def test_the_card_names_data_figures_parts_and_limits(comparison: Comparison, sealed: Path) -> None:
    card = (sealed / "model_card.md").read_text()
    f1 = comparison.challenger.metrics["f1"]
    assert f"| F1 (forged) | {f1.value:.3f} [{f1.low:.3f}, {f1.high:.3f}] |" in card
    assert f"**F1 (forged) {f1.value:.3f}**" in card
    assert "on the test split, raw and harmonised copies of 24 pictures." in card
    assert "24 test pictures, 12 of them forged, from 12 source groups" in card
    assert "| Train | 20 | 20 |\n| Validation | 10 | 10 |\n| Test | 12 | 12 |" in card
    assert "| Manipulation: splice | 12 | 6 |" in card
    assert "| Format: PNG |" in card
    assert "**not proof**" in card
    assert "Header only" in card
    control = comparison.challenger.views["shared"].control
    assert control is not None
    assert "| Shared | 16 |" in card
    assert f"{control.roc_auc.value:.3f} [" in card
    assert "| Resizing, percent of each side | 50 |" in card
    assert "| Harmonised, all |" in card
    # A line of dashes under each head, and no blank one between: else Markdown shows no table.
    assert all(re.match(r"\|(-+\|)+$", below) for head, below in table_heads(card))


def test_the_card_of_a_detector_that_sees_what_is_shown_says_so(comparison: Comparison, sealed: Path) -> None:
    info = open_bundle(sealed).info
    cards = [
        model_card(info.model_copy(update={"recipe": recipe}), comparison, CONFIG)
        for recipe in ("blocks2_48", "blocks2_48_content")
    ]
    assert ["what the picture shows" in card for card in cards] == [False, True]


def test_the_lite_model_is_proven_on_every_question_of_the_test_pictures(comparison: Comparison, sealed: Path) -> None:
    bundle = open_bundle(sealed)
    assert bundle.lite_model is not None
    assert bundle.info.lite_difference is not None
    assert 0 <= bundle.info.lite_difference <= 1e-4
    assert "over all test questions" in (sealed / "model_card.md").read_text()


def test_a_lite_model_that_answers_otherwise_is_not_sealed(
    image_set: Path, draft: Path, make_bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    other = shutil.copytree(draft, tmp_path / "draft")
    shutil.copy(make_bundle(seed=1).path / LITE_MODEL, other / LITE_MODEL)
    evaluate(image_set, other, None, tmp_path / "bundle", CONFIG)
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.lite_model is None
    assert "its probabilities differ by" in bundle.info.no_lite_model
    assert "| LiteRT | no model: its probabilities differ by" in (tmp_path / "bundle" / "model_card.md").read_text()


def test_evaluating_the_same_draft_again_gives_the_same_bundle(
    comparison: Comparison, image_set: Path, draft: Path, champion: Bundle, tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    out.mkdir()
    (out / "left over").write_text("from a step that was killed")
    again = evaluate(image_set, draft, champion, out, CONFIG)
    assert again.challenger.model_version == comparison.challenger.model_version


def test_a_killed_evaluation_goes_on_and_comes_to_the_same_bundle(
    image_set: Path, draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CONFIG.model_copy(update={"cache": f"file://{tmp_path}/cache"})
    script = Path(__file__).with_name("evaluate_and_die.py")
    arguments = [str(image_set), str(draft), str(tmp_path / "bundle"), config.model_dump_json(), "2"]
    done = subprocess.run([sys.executable, str(script), *arguments], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    assert not (tmp_path / "bundle").exists()

    asked = []
    ask_block = answers._ask_block
    monkeypatch.setattr(answers, "_BLOCK", 5)
    monkeypatch.setattr(answers, "_ask_block", lambda *given: asked.append(1) or ask_block(*given))
    again = evaluate(image_set, draft, None, tmp_path / "bundle", config)
    assert len(asked) == 3  # of five: two were kept
    undisturbed = evaluate(image_set, draft, None, tmp_path / "other", CONFIG.model_copy(update={"cache": ""}))
    assert len(asked) == 8
    assert again.challenger.model_version == undisturbed.challenger.model_version


@pytest.mark.parametrize("cached", [True, False])
def test_parts_come_to_the_same_bundle_as_one_task(
    image_set: Path,
    draft: Path,
    champion: Bundle,
    comparison: Comparison,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cached: bool,
) -> None:
    asked = []
    ask_block = answers._ask_block
    monkeypatch.setattr(answers, "_BLOCK", 5)
    monkeypatch.setattr(answers, "_ask_block", lambda *given: asked.append(1) or ask_block(*given))
    config = CONFIG.model_copy(update={"cache": f"file://{tmp_path}/cache" if cached else ""})
    # More parts than blocks: some have nothing to do.
    names = [f"{number:05d}-of-00007" for number in range(7)]
    for name in names:
        score_part(image_set, draft, champion, tmp_path / name, name, config)
    assert len(asked) == 10  # five blocks for each of two recipes
    score_part(image_set, draft, champion, tmp_path / "again", names[-1], config)
    assert len(asked) == (10 if cached else 12)

    # One part is lost, and its blocks are asked for by evaluation.
    parts = [tmp_path / "again", *(tmp_path / name for name in names[-2:1:-1])]
    asked.clear()
    together = evaluate(image_set, draft, champion, tmp_path / "bundle", config, parts)
    assert len(asked) == (0 if cached else 2)
    alone = evaluate(image_set, draft, champion, tmp_path / "other", CONFIG.model_copy(update={"cache": ""}))
    assert together.challenger.model_version == alone.challenger.model_version
    assert without_latency(together) == without_latency(alone)
    assert {path.name: path.read_bytes() for path in (tmp_path / "bundle").iterdir() if path.is_file()} == {
        path.name: path.read_bytes() for path in (tmp_path / "other").iterdir() if path.is_file()
    }


def test_a_part_reads_its_own_pictures_alone(
    image_set: Path, draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (listed := tmp_path / "set").mkdir()
    for path in image_set.iterdir():
        (listed / path.name).symlink_to(path)
    with SaveList(listed):  # else they are read from the files of the train split
        pass
    digests = [row.digest for row in read_pictures(image_set, ("test",))]
    opened: list[str] = []
    read = Packs.read
    monkeypatch.setattr(answers, "_BLOCK", 5)
    monkeypatch.setattr(Packs, "read", lambda packs, row: opened.append(row.digest) or read(packs, row))
    score_part(listed, draft, None, tmp_path / "part", "00001-of-00003", CONFIG)
    assert opened == digests[5:15]
    opened.clear()
    score_part(listed, draft, None, tmp_path / "other", "00002-of-00003", CONFIG)
    assert opened == digests[15:]


def without_latency(comparison: Comparison) -> str:
    models = [
        each.model_copy(update={"latency_ms": 1.0}) for each in (comparison.challenger, comparison.champion) if each
    ]
    return comparison.model_copy(update=dict(zip(("challenger", "champion"), models, strict=True))).model_dump_json()


def test_answers_of_other_models_are_not_taken(
    image_set: Path, draft: Path, champion: Bundle, comparison: Comparison, tmp_path: Path
) -> None:
    score_part(image_set, draft, None, tmp_path / "part", "00000-of-00001", CONFIG)
    again = evaluate(image_set, draft, champion, tmp_path / "bundle", CONFIG, [tmp_path / "part"])
    assert again.challenger.model_version == comparison.challenger.model_version


def test_the_first_model_is_measured_without_a_champion(image_set: Path, draft: Path, tmp_path: Path) -> None:
    first = evaluate(image_set, draft, None, tmp_path / "bundle", CONFIG)
    assert first.champion is None
    assert "no model is in service yet" in report_html(first)


def test_costs_are_measured(comparison: Comparison, sealed: Path) -> None:
    import keras

    challenger = comparison.challenger
    assert challenger.latency_ms > 0
    assert challenger.parameters == keras.models.load_model(sealed / "model.keras", compile=False).count_params()
    assert challenger.size_bytes == sum(
        path.stat().st_size for path in (sealed / SAVED_MODEL).rglob("*") if path.is_file()
    )


def test_a_champion_scored_against_itself_is_a_tie(
    image_set: Path, make_bundle: Callable[..., Bundle], draft: Path, tmp_path: Path
) -> None:
    same = evaluate(image_set, draft, make_bundle(seed=0), tmp_path / "bundle", CONFIG)
    assert same.champion is not None
    assert same.champion.views == same.challenger.views
    assert same.champion.robustness == same.challenger.robustness
    assert same.champion.metrics == same.challenger.metrics


def test_models_with_one_recipe_share_their_evidence(
    image_set: Path, comparison: Comparison, sealed: Path, champion: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[str] = []
    compute = ElaRecipe.compute

    def counted(recipe: ElaRecipe, picture: Image.Image) -> Any:
        computed.append(recipe.name)
        return compute(recipe, picture)

    monkeypatch.setattr(ElaRecipe, "compute", counted)
    ours, theirs = Engine(open_bundle(sealed)), Engine(champion)
    plan = Plan(views={"raw": range(24)}, sampled=frozenset(), damaged=frozenset())
    first, again, other = ask(image_set, comparison.challenger.pictures.digests, plan, [ours, ours, theirs])
    assert Counter(computed) == {ours.recipe.name: 24, OTHER_RECIPE: 24}
    assert first.probabilities == again.probabilities != other.probabilities


def test_baselines_need_no_pixel_and_find_the_history_of_these_files(comparison: Comparison) -> None:
    found = {each.name: each.metrics for each in comparison.baselines}
    assert found["always_forged"]["recall"].value == 1
    assert found["always_forged"]["balanced_accuracy"].value == 0.5
    assert found["header_only"]["roc_auc"].value > 0.9
    assert set(found) == {"always_forged", "majority", "file_size", "header_only"}


def test_a_comparison_survives_its_file(comparison: Comparison, tmp_path: Path) -> None:
    comparison.write(tmp_path / "new folder" / "comparison.json")
    assert Comparison.read(tmp_path / "new folder" / "comparison.json") == comparison


def test_the_report_shows_figures_errors_and_evidence_and_loads_nothing(
    comparison: Comparison, image_set: Path, sealed: Path
) -> None:
    examples = collect_examples(image_set, comparison.challenger, Engine(open_bundle(sealed)), errors=2, right=1)
    page = report_html(comparison, examples, draws=100)
    assert page.count("data:image/webp;base64,") == 3 * len(examples) > 0
    assert "http" not in page
    assert "<script" not in page
    assert f"{comparison.challenger.metrics['f1'].value:.3f}" in page
    assert "Header only" in page
    assert "tell the classes of this test split apart" in page
    assert "What the figures say against the challenger" in page


def test_examples_are_the_worst_errors_then_the_surest_right_answers(
    comparison: Comparison, image_set: Path, sealed: Path
) -> None:
    scores = comparison.challenger
    probabilities = np.asarray(scores.views["raw"].probabilities)
    forged = np.asarray(scores.pictures.labels, bool)
    examples = collect_examples(image_set, scores, Engine(open_bundle(sealed)), errors=3, right=2)
    wrong = [each for each in examples if not each.right]
    assert [each.right for each in examples] == sorted(each.right for each in examples)
    missed = probabilities[forged & (probabilities < scores.threshold)]
    shown = [each.probability_forged for each in wrong if each.label == "forged"]
    assert shown == sorted(missed.tolist())[:3]


@pytest.mark.parametrize("only", ["authentic", "forged"])
def test_a_test_split_of_one_class_is_refused_before_anything_is_written(
    only: str, draft: Path, tmp_path: Path
) -> None:
    lacking = "forged" if only == "authentic" else "authentic"
    broken = write_image_set(tmp_path / "image_set", only)
    with pytest.raises(DataRejected, match=rf"has no {lacking} picture: .* raise data.test_fraction"):
        evaluate(broken, draft, None, tmp_path / "bundle", CONFIG)
    assert not (tmp_path / "bundle").exists()


def test_pictures_that_cannot_be_read_become_results_in_their_place(make_bundle: Callable[..., Bundle]) -> None:
    bundle = make_bundle()
    good = encoded_picture(1, forged=True)

    def unreadable() -> bytes:
        raise SourceError("no permission")

    named = [
        ("a", good),
        ("b", b""),
        ("c", b"no picture"),
        ("d", lambda: good),
        ("e", good[:-100]),
        ("f", unreadable),
    ]
    results = list(score_pictures(bundle, iter(named), batch_size=2))
    assert [each.name for each in results] == ["a", "b", "c", "d", "e", "f"]
    assert [isinstance(each, ScoredPicture) for each in results] == [True, False, False, True, False, False]
    first, fourth = results[0], results[3]
    assert isinstance(first, ScoredPicture)
    assert isinstance(fourth, ScoredPicture)
    assert fourth == replace(first, name="d", probability_forged=fourth.probability_forged)
    assert fourth.probability_forged == pytest.approx(first.probability_forged, abs=1e-6)
    assert first.model_version == bundle.digest
    assert first.label == bundle.info.decision.label(first.probability_forged)
    reasons = [each.reason for each in results if isinstance(each, FailedPicture)]
    assert reasons == ["empty", "unreadable", "truncated", "unreadable"]
    assert results[5].record() == {"file": "f", "error": "no permission"}
    assert set(first.record()) == {"file", "label", "probability_forged", "threshold", "model_version"}


def test_nothing_is_read_ahead_beyond_a_batch(make_bundle: Callable[..., Bundle]) -> None:
    read: list[int] = []

    def pictures() -> Iterator[tuple[str, bytes]]:
        for index in range(6):
            read.append(index)
            yield str(index), encoded_picture(index, forged=False)

    next(score_pictures(make_bundle(), pictures(), batch_size=2))
    assert read == [0, 1]


def test_comparison_json_is_plain(comparison: Comparison, tmp_path: Path) -> None:
    comparison.write(tmp_path / "comparison.json")
    plain = json.loads((tmp_path / "comparison.json").read_text())
    assert plain["challenger"]["model_version"] == comparison.challenger.model_version
    assert len(plain["challenger"]["pictures"]["digests"]) == len(plain["challenger"]["views"]["raw"]["probabilities"])
