"""Step 6: measure challenger and champion on the same test pictures."""

from kfp import dsl

from components.envelope import envelope


@envelope
def evaluate(
    image_set: dsl.Input[dsl.Dataset],
    draft: dsl.Input[dsl.Model],
    champion: dsl.Input[dsl.Model],
    answers: dsl.Input[list[dsl.Dataset]],
    seed: int,
    rule: dict,
    cache: str,
    tracking: str,
    bundle: dsl.Output[dsl.Model],
    comparison: dsl.Output[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    classification: dsl.Output[dsl.ClassificationMetrics],
    champion_classification: dsl.Output[dsl.ClassificationMetrics],
    report: dsl.Output[dsl.HTML],
) -> None:
    """Score challenger and champion on the same test pictures, each with its own recipe, and seal the bundle.

    Args:
        image_set: From ingest; its test split is used.
        draft: The challenger, from training.
        champion: The model in service.
        answers: Of both models, from the tasks that scored parts; what they lack is scored here.
        seed: Seeds the bootstrap.
        rule: The gate's rule (PromotionRule); its views, sample sizes, confidence and draws are used.
        cache: Where answers are kept, so that an evaluation that is killed goes on; empty for none.
        tracking: MLflow tracking URI; empty for none.
        bundle: The challenger with its metrics and model card, immutable from here on.
        comparison: Scores of both models, picture by picture.
        metrics: The challenger's figures over the judged views and in each, and the champion's under `champion_`;
            forged is the positive class.
        classification: The challenger's confusion matrix and ROC curve.
        champion_classification: The champion's, on the same pictures; empty where there is none yet.
        report: Figures with intervals beside champion and baselines, in all views, with controls, robustness curves,
            maps against masks and the worst errors as pictures.
    """
    from pathlib import Path

    from forgery.config import RunConfig
    from forgery.steps import step
    from forgery.steps.evaluate import evaluate as measure

    with step("evaluate"):
        paths = (Path(item.path) for item in (image_set, draft, champion, bundle, comparison, report))
        chosen = {"seed": seed, "rule": rule, "cache": cache, "tracking": tracking}
        measured = measure([Path(part.path) for part in answers], *paths, config=RunConfig.read(chosen))
        bundle.metadata["model_version"] = measured.model_version
        metrics.metadata.update(measured.scalars)
        for artifact, shown in zip((classification, champion_classification), measured.classifications, strict=False):
            artifact.log_confusion_matrix(*shown.confusion)
            artifact.log_roc_curve(*shown.roc)
