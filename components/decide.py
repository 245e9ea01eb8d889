"""Step 7: the gate."""

from kfp import dsl

from components.envelope import envelope


@envelope
def decide(comparison: dsl.Input[dsl.Artifact], rule: dict, verdict: dsl.Output[dsl.Markdown]) -> bool:
    """Decide whether the challenger replaces the champion, and say why.

    Args:
        comparison: From evaluate.
        rule: What a challenger must show (PromotionRule).
        verdict: Every check with its figures, and the reason in a sentence.

    Returns:
        True where the challenger is to be deployed.
    """
    from pathlib import Path

    from forgery.steps import step
    from forgery.steps.decide import decide as judge

    with step("decide"):
        return judge(Path(comparison.path), rule, Path(verdict.path))
