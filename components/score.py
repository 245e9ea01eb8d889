"""Step 5: score the test pictures."""

from kfp import dsl

from components.envelope import envelope


@envelope
def score(
    image_set: dsl.Input[dsl.Dataset],
    draft: dsl.Input[dsl.Model],
    champion: dsl.Input[dsl.Model],
    part: str,
    rule: dict,
    cache: str,
    answers: dsl.Output[dsl.Dataset],
) -> None:
    """Score one part of the test pictures with challenger and champion, in all views; a single part waits for evaluate.

    Args:
        image_set: From ingest; its test split is used.
        draft: The challenger, from training.
        champion: The model in service.
        part: Which part of the test split, e.g. 00002-of-00017; it has as many as the ELA step.
        rule: The gate's rule (PromotionRule); its views and sample sizes say what is asked.
        cache: Where answers are kept as they come, so that a task that is killed goes on; empty for none.
        answers: Of both models to the part's pictures, in blocks.
    """
    from pathlib import Path

    from forgery.config import RunConfig
    from forgery.steps import step
    from forgery.steps.score import score as answer

    with step("score"):
        paths = (Path(item.path) for item in (image_set, draft, champion, answers))
        answer(*paths, part=part, config=RunConfig.read({"rule": rule, "cache": cache}))
        answers.metadata["part"] = part
