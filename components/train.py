"""Step 4: train the challenger."""

from kfp import dsl

from components.envelope import envelope


@envelope
def train(
    evidence_sets: dsl.Input[list[dsl.Dataset]],
    champion: dsl.Input[dsl.Model],
    backbone: str,
    weights: str,
    seed: int,
    training: dict,
    tracking: str,
    checkpoints: str,
    workers: int,
    run_id: str,
    draft: dsl.Output[dsl.Model],
    curves: dsl.Output[dsl.HTML],
    logs: dsl.Output[dsl.Artifact],
) -> None:
    """Train the challenger on evidence maps, calibrate it and choose its threshold on the validation pictures.

    Args:
        evidence_sets: The parts from the ELA step.
        champion: Start weights, where training.continue_from_champion is set.
        backbone: cnn, mobilenet_v2, efficientnet, xception or blocks.
        weights: Start weights: empty for random, imagenet, a path or URI, or package:NAME/FILE.
        seed: Seeds the initial weights and the order of pictures.
        training: How the network is fitted (TrainingOptions).
        tracking: MLflow tracking URI; empty for none.
        checkpoints: Where a training that is killed goes on from: s3://bucket/prefix or file://PATH; empty for none.
        workers: Processes that train together; more than one are a TFJob.
        run_id: Of the pipeline run, kept in the model's lineage.
        draft: The model, not yet evaluated.
        curves: Loss and metrics by epoch.
        logs: The same for TensorBoard.
    """
    from pathlib import Path

    from forgery.config import RunConfig
    from forgery.steps import step
    from forgery.steps.train import train as fit

    with step("train"):
        chosen = {"backbone": backbone, "weights": weights, "seed": seed, "training": training}
        chosen |= {"tracking": tracking, "checkpoints": checkpoints, "workers": workers}
        paths = (Path(artifact.path) for artifact in (champion, draft, curves, logs))
        parts = [Path(part.path) for part in evidence_sets]
        draft.metadata.update(fit(parts, *paths, config=RunConfig.read(chosen), run_id=run_id))
