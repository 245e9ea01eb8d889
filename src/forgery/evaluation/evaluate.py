"""Score challenger and champion on the same test pictures and seal the challenger's bundle."""

import io
import logging
import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path

from PIL import Image

from forgery.bundle import CARD_FILE, LITE_MODEL, Bundle, seal
from forgery.config import RunConfig
from forgery.dataset.manifest import read_info, read_pictures
from forgery.dataset.shards import read_encoded
from forgery.engine import Engine
from forgery.errors import DataRejected
from forgery.evaluation.answers import Answers, Plan, ask
from forgery.evaluation.baselines import baselines
from forgery.evaluation.card import model_card
from forgery.evaluation.cost import count_parameters, measure_latency, size_bytes
from forgery.evaluation.figures import headline, sealed_metrics
from forgery.evaluation.kept import KeptAnswers, model_name
from forgery.evaluation.parity import lite_engines, lite_findings
from forgery.evaluation.scorer import Scorer
from forgery.evaluation.scores import BaselineScores, Comparison, ModelScores, TestPictures
from forgery.evaluation.wording import trained_on
from forgery.histories import read_forged_saves
from forgery.jpeg import jpeg_quality
from forgery.monitoring.measuring import measure_reference
from forgery.monitoring.reference import Reference, write_reference
from forgery.promotion import PromotionRule
from forgery.training.export import DRAFT_FILE, read_draft
from forgery.views import VIEWS

logger = logging.getLogger(__name__)

# Enough for a stable median over three rounds, few enough to hold.
_LATENCY_PICTURES = 16


def evaluate(image_set: Path, draft: Path, champion: Bundle | None, out: Path, config: RunConfig) -> Comparison:
    """Measure the draft and the champion, each with its own recipe, and write the sealed bundle to `out`.

    Args:
        image_set: Its test split is scored; the others fit the baselines, and give the saves of the view `matched`.
        draft: What training wrote.
        champion: The model in service, or None.
        out: Becomes the sealed bundle, whole or not at all; replaced if it exists.
        config: `rule` gives the views that are judged, on how many pictures all else is measured, draws and confidence
            of the intervals; `seed` seeds the bootstrap; `cache` is where answers are kept until they are all there.

    Raises:
        DataRejected: The test split lacks a class, or a picture cannot be read any more.
        BundleError: The draft is none, or a model gives no number for a picture.
    """
    pictures, masked = _test_pictures(image_set)
    challenger = read_draft(draft)
    models = [challenger] if champion is None else [challenger, champion]
    engines = [Engine(model) for model in models]
    latencies = measure_latency(engines, _some_encoded(image_set))
    plan, lite = _plan(image_set, pictures, masked, config.rule), lite_engines(challenger)
    asked = [*engines, *lite]
    of = [*models, *models[: len(lite)]]
    names = [model_name(model, engine.kind) for model, engine in zip(of, asked, strict=True)]
    kept = KeptAnswers(config.cache, names)
    answers = ask(image_set, pictures.digests, plan, asked, kept)
    scored = [
        _scores(pictures, model, found, latency_ms, config)
        for model, found, latency_ms in zip(models, answers[: len(models)], latencies, strict=True)
    ]
    dataset = read_info(image_set)
    comparison = Comparison(
        challenger=scored[0],
        champion=scored[1] if champion else None,
        baselines=_baselines(image_set, pictures, config),
        dataset_digest=dataset.digest,
        counts=dataset.counts,
        confidence=config.rule.confidence,
    )
    found = lite_findings(answers[0], answers[len(models) :])
    challenger = replace(challenger, info=challenger.info.model_copy(update=found))
    bundle = _seal(challenger, out, comparison, config, measure_reference(image_set, engines[0]))
    sealed = comparison.challenger.model_copy(update={"model_version": bundle.digest})
    logger.info("sealed %s, F1 %.3f", bundle.digest, sealed.metrics["f1"].value)
    return comparison.model_copy(update={"challenger": sealed})


def _test_pictures(image_set: Path) -> tuple[TestPictures, bool]:
    """The columns, and whether any forged picture has a mask."""
    rows = sorted(read_pictures(image_set, ("test",)), key=lambda row: row.digest)
    missing = {"authentic", "forged"} - {row.label for row in rows}
    if missing:
        raise DataRejected(
            f"the test split has no {' and no '.join(sorted(missing))} picture: "
            "add pictures or source groups, or raise data.test_fraction"
        )
    qualities = {row.digest: _quality(encoded) for row, encoded in read_encoded(image_set, ("test",))}
    pictures = TestPictures(
        digests=[row.digest for row in rows],
        labels=[int(row.label == "forged") for row in rows],
        groups=[row.group for row in rows],
        manipulations=[row.manipulation for row in rows],
        formats=[row.format for row in rows],
        pixels=[row.width * row.height for row in rows],
        qualities=[qualities[row.digest] for row in rows],
    )
    return pictures, any(row.mask_member for row in rows)


def _quality(encoded: bytes) -> int | None:
    with Image.open(io.BytesIO(encoded)) as image:
        return jpeg_quality(getattr(image, "quantization", None))


def _plan(image_set: Path, pictures: TestPictures, masked: bool, rule: PromotionRule) -> Plan:
    sample = _sample(pictures, rule.sample_pictures or len(pictures))
    every = range(len(pictures))
    return Plan(
        views={view: every if view in rule.views else sample for view in VIEWS},
        sampled=sample if masked else frozenset(),
        damaged=_sample(pictures, rule.robustness_pictures),
        saves=read_forged_saves(image_set),
    )


def _sample(pictures: TestPictures, most: int) -> frozenset[int]:
    """At most so many positions, half of each class; digests being hashes, the first ones are as good as drawn."""
    of_class = [[at for at, label in enumerate(pictures.labels) if label == wanted] for wanted in (0, 1)]
    fewer = min(len(positions) for positions in of_class)
    return frozenset(at for positions in of_class for at in positions[: max(most // 2, most - fewer)])


def _some_encoded(image_set: Path) -> list[bytes]:
    return [encoded for _, encoded in islice(read_encoded(image_set, ("test",)), _LATENCY_PICTURES)]


def _scores(
    pictures: TestPictures, model: Bundle, answers: Answers, latency_ms: float, config: RunConfig
) -> ModelScores:
    scorer = Scorer(pictures, model.info.decision.threshold, config)
    scorer.require_numbers(model.digest, answers)
    views = scorer.views(answers)
    return ModelScores(
        model_version=model.digest,
        recipe=model.info.recipe,
        backbone=model.info.backbone,
        trained_on=trained_on(model.info.lineage),
        decision=model.info.decision,
        pictures=pictures,
        views=views,
        judged=config.rule.views,
        metrics=scorer.pooled([views[view] for view in config.rule.views]),
        robustness=scorer.robustness(answers),
        latency_ms=latency_ms,
        parameters=count_parameters(model),
        size_bytes=size_bytes(model),
    )


def _baselines(image_set: Path, pictures: TestPictures, config: RunConfig) -> list[BaselineScores]:
    return [
        BaselineScores(
            name=each.name,
            description=each.description,
            threshold=each.threshold,
            probabilities=each.probabilities.tolist(),
            metrics=Scorer(pictures, each.threshold, config).metrics(range(len(pictures)), each.probabilities),
        )
        for each in baselines(image_set, config.seed)
    ]


def _seal(draft: Bundle, out: Path, comparison: Comparison, config: RunConfig, reference: Reference) -> Bundle:
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    dropped = (DRAFT_FILE, LITE_MODEL) if draft.info.no_lite_model else (DRAFT_FILE,)
    shutil.copytree(draft.path, partial, ignore=shutil.ignore_patterns(*dropped))
    info = draft.info.model_copy(
        update={"metrics": sealed_metrics(comparison.challenger), "headline": headline(comparison)}
    )
    (partial / CARD_FILE).write_text(model_card(info, comparison, config))
    write_reference(partial, reference)
    bundle = seal(partial, info)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)
    return Bundle(out, bundle.digest, info)
