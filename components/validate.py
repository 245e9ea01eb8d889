"""Step 2: refuse data that no honest detector can be trained on."""

from kfp import dsl

from components.envelope import envelope


@envelope
def validate(image_set: dsl.Input[dsl.Dataset], data: dict, report: dsl.Output[dsl.HTML]) -> None:
    """Check classes, groups, label conflicts and duplicates; warn where file history alone tells the classes apart.

    Args:
        image_set: From ingest.
        data: Options of reading and splitting (DataOptions).
        report: Findings, readable in the browser.
    """
    from pathlib import Path

    from forgery.config import DataOptions
    from forgery.steps import step
    from forgery.steps.validate import validate as check

    with step("validate"):
        check(Path(image_set.path), DataOptions.read(data), Path(report.path))
