"""Score challenger and champion on the same test pictures and seal the challenger's bundle."""

import io
import logging
import shutil
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from forgery.bundle import CARD_FILE, LITE_MODEL, Bundle, seal
from forgery.config import RunConfig
from forgery.dataset.manifest import read_info
from forgery.dataset.shards import read_encoded
from forgery.evaluation.answers import Answers
from forgery.evaluation.baselines import baselines
from forgery.evaluation.card import model_card
from forgery.evaluation.contest import Contest
from forgery.evaluation.cost import count_parameters, measure_latency, size_bytes
from forgery.evaluation.figures import headline, sealed_metrics
from forgery.evaluation.parity import lite_findings
from forgery.evaluation.scorer import Scorer
from forgery.evaluation.scores import BaselineScores, Comparison, ModelScores, TestPictures
from forgery.evaluation.wording import trained_on
from forgery.jpeg import jpeg_quality
from forgery.monitoring.measuring import measure_reference
from forgery.monitoring.reference import Reference, write_reference
from forgery.training.export import DRAFT_FILE

logger = logging.getLogger(__name__)

# Enough for a stable median over three rounds, few enough to hold.
_LATENCY_PICTURES = 16


def evaluate(
    image_set: Path,
    draft: Path,
    champion: Bundle | None,
    out: Path,
    config: RunConfig,
    parts: Sequence[Path] = (),
) -> Comparison:
    """Measure the draft and the champion, each with its own recipe, and write the sealed bundle to `out`.

    Args:
        image_set: Its test split is scored; the others fit the baselines, and give the saves of the view `matched`.
        draft: What training wrote.
        champion: The model in service, or None.
        out: Becomes the sealed bundle, whole or not at all; replaced if it exists.
        config: `rule` gives the views that are judged, on how many pictures all else is measured, draws and confidence
            of the intervals; `seed` seeds the bootstrap; `cache` is where answers are kept until they are all there.
        parts: Answers from `score_part`; what they lack is asked for here. The bundle is the same with and without.

    Raises:
        DataRejected: The test split lacks a class, or a picture cannot be read any more.
        BundleError: The draft is none, or a model gives no number for a picture.
    """
    contest = Contest.open(image_set, draft, champion, config)
    models, network = contest.models, contest.engines[0]
    latencies = measure_latency(contest.engines[: len(models)], _some_encoded(image_set))
    answers = contest.answers(config.cache, parts=parts)
    pictures = _test_pictures(image_set)
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
    challenger = replace(models[0], info=models[0].info.model_copy(update=found))
    bundle = _seal(challenger, out, comparison, config, measure_reference(image_set, network))
    sealed = comparison.challenger.model_copy(update={"model_version": bundle.digest})
    logger.info("sealed %s, F1 %.3f", bundle.digest, sealed.metrics["f1"].value)
    return comparison.model_copy(update={"challenger": sealed})


def _test_pictures(image_set: Path) -> TestPictures:
    columns: dict[str, list[Any]] = defaultdict(list)
    for row, encoded in read_encoded(image_set, ("test",)):
        columns["digests"].append(row.digest)
        columns["labels"].append(int(row.label == "forged"))
        columns["groups"].append(row.group)
        columns["manipulations"].append(row.manipulation)
        columns["formats"].append(row.format)
        columns["pixels"].append(row.width * row.height)
        columns["qualities"].append(_quality(encoded))
    return TestPictures(**columns)


def _quality(encoded: bytes) -> int | None:
    with Image.open(io.BytesIO(encoded)) as image:
        return jpeg_quality(getattr(image, "quantization", None))


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
