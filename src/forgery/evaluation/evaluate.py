"""Score challenger and champion on the same test pictures and seal the challenger's bundle."""

import logging
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from forgery.bundle import CARD_FILE, Bundle, seal
from forgery.config import RunConfig
from forgery.dataset.manifest import read_info, read_pictures
from forgery.dataset.shards import read_encoded
from forgery.engine import Engine
from forgery.errors import BundleError, DataRejected
from forgery.evaluation.baselines import baselines
from forgery.evaluation.card import model_card
from forgery.evaluation.cost import count_parameters, measure_latency, size_bytes
from forgery.evaluation.figures import sealed_metrics
from forgery.evaluation.scores import BaselineScores, Comparison, ModelScores, TestPictures
from forgery.metrics import Estimate, Outcome, estimates
from forgery.scoring import NO_LIMITS, FailedPicture, score_pictures
from forgery.training.export import DRAFT_FILE, read_draft

logger = logging.getLogger(__name__)

# Enough for a stable median over three rounds, few enough to hold.
_LATENCY_PICTURES = 16


def evaluate(image_set: Path, draft: Path, champion: Bundle | None, out: Path, config: RunConfig) -> Comparison:
    """Measure the draft and the champion, each with its own recipe, and write the sealed bundle to `out`.

    Args:
        image_set: Its test split is scored; the others fit the baselines.
        draft: What training wrote.
        champion: The model in service, or None.
        out: Becomes the sealed bundle, whole or not at all; replaced if it exists.
        config: `rule` gives draws and confidence of the intervals, `seed` seeds them.

    Raises:
        DataRejected: The test split lacks a class.
        BundleError: The draft is none, or a model gives no number for a picture.
    """
    pictures = _test_pictures(image_set)
    challenger = read_draft(draft)
    models = [challenger] if champion is None else [challenger, champion]
    engines = [Engine(model) for model in models]
    latencies = measure_latency(engines, _some_encoded(image_set))
    scored = [
        _score(image_set, pictures, model, engine, latency_ms, config)
        for model, engine, latency_ms in zip(models, engines, latencies, strict=True)
    ]
    comparison = Comparison(
        challenger=scored[0],
        champion=scored[1] if champion else None,
        baselines=_baselines(image_set, pictures, config),
        dataset_digest=read_info(image_set).digest,
        confidence=config.rule.confidence,
    )
    bundle = _seal(challenger, out, comparison, config)
    sealed = comparison.challenger.model_copy(update={"model_version": bundle.digest})
    logger.info("sealed %s, F1 %.3f", bundle.digest, sealed.metrics["f1"].value)
    return comparison.model_copy(update={"challenger": sealed})


def _test_pictures(image_set: Path) -> TestPictures:
    rows = sorted(read_pictures(image_set, ("test",)), key=lambda row: row.digest)
    missing = {"authentic", "forged"} - {row.label for row in rows}
    if missing:
        raise DataRejected(
            f"the test split has no {' and no '.join(sorted(missing))} picture: "
            "add pictures or source groups, or raise data.test_fraction"
        )
    return TestPictures(
        digests=[row.digest for row in rows],
        labels=[int(row.label == "forged") for row in rows],
        groups=[row.group for row in rows],
        manipulations=[row.manipulation for row in rows],
        formats=[row.format for row in rows],
        pixels=[row.width * row.height for row in rows],
    )


def _some_encoded(image_set: Path) -> list[bytes]:
    return [encoded for _, encoded in islice(read_encoded(image_set, ("test",)), _LATENCY_PICTURES)]


def _score(
    image_set: Path, pictures: TestPictures, model: Bundle, engine: Engine, latency_ms: float, config: RunConfig
) -> ModelScores:
    probabilities = _probabilities(image_set, pictures, model, engine)
    outcome = Outcome.of(pictures.labels, probabilities, model.info.decision.threshold)
    return ModelScores(
        model_version=model.digest,
        recipe=model.info.recipe,
        backbone=model.info.backbone,
        decision=model.info.decision,
        pictures=pictures,
        probabilities=probabilities,
        metrics=_estimates(outcome, pictures, config),
        latency_ms=latency_ms,
        parameters=count_parameters(model),
        size_bytes=size_bytes(model),
    )


def _probabilities(image_set: Path, pictures: TestPictures, model: Bundle, engine: Engine) -> list[float]:
    encoded = ((picture.digest, content) for picture, content in read_encoded(image_set, ("test",)))
    found: dict[str, float] = {}
    results = score_pictures(model, encoded, NO_LIMITS, engine=engine)
    for result in tqdm(results, f"Scoring with {model.digest[:12]}", len(pictures), unit="picture", disable=None):
        if isinstance(result, FailedPicture):
            raise DataRejected(f"test picture {result.name} cannot be read any more: {result.error}")
        found[result.name] = result.probability_forged
    if bad := sum(not np.isfinite(each) for each in found.values()):
        raise BundleError(
            f"model {model.digest} gives no number for {bad} of {len(found)} test pictures: "
            "its training diverged, lower the learning rate"
        )
    return [found[digest] for digest in pictures.digests]


def _baselines(image_set: Path, pictures: TestPictures, config: RunConfig) -> list[BaselineScores]:
    return [
        BaselineScores(
            name=each.name,
            description=each.description,
            threshold=each.threshold,
            probabilities=each.probabilities.tolist(),
            metrics=_estimates(Outcome.of(pictures.labels, each.probabilities, each.threshold), pictures, config),
        )
        for each in baselines(image_set, config.seed)
    ]


def _estimates(outcome: Outcome, pictures: TestPictures, config: RunConfig) -> dict[str, Estimate]:
    rule = config.rule
    return estimates(outcome, pictures.groups, draws=rule.bootstrap_draws, confidence=rule.confidence, seed=config.seed)


def _seal(draft: Bundle, out: Path, comparison: Comparison, config: RunConfig) -> Bundle:
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(draft.path, partial, ignore=shutil.ignore_patterns(DRAFT_FILE))
    info = draft.info.model_copy(update={"metrics": sealed_metrics(comparison.challenger)})
    (partial / CARD_FILE).write_text(model_card(info, comparison, config))
    bundle = seal(partial, info)
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)
    return Bundle(out, bundle.digest, info)
