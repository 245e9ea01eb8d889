"""Every parameter of a training run with its default: the one place defaults stand in.

The pipeline's parameters, `forgery run --config FILE --set key=value` and the documentation are all derived from
`RunConfig`; an unknown key or a value out of range is refused with what is accepted.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from forgery.decision import parse_objective
from forgery.errors import InvalidConfig
from forgery.picture import DEFAULT_LIMITS
from forgery.promotion import PromotionRule
from forgery.recipes import parse_recipe
from forgery.recipes.blocks import BlocksRecipe
from forgery.variants import MATCHED, PASTED, VARIED, parse_variants

Fraction = Annotated[float, Field(gt=0, lt=1)]


class Options(BaseModel):
    """A frozen group of parameters that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Validate plain values, as they come from YAML, the command line or a pipeline parameter.

        Raises:
            InvalidConfig: One sentence per wrong key, each with what is accepted.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise InvalidConfig("; ".join(_explain(cls, dict(problem)) for problem in error.errors())) from error


def _explain(options: type[BaseModel], problem: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        for part in problem["loc"][:-1]:
            options = cast(type[BaseModel], options.model_fields[str(part)].annotation)
        return f"unknown parameter {key!r}; known: {', '.join(options.model_fields)}"
    return f"{key}: {problem['msg'][0].lower()}{problem['msg'][1:]} (got {problem['input']!r})"


class DataOptions(Options):
    """How pictures are read, limited and split."""

    layout: Literal["auto", "casia", "folders", "manifest"] = Field(
        "auto", description="How labels are told: CASIA file names, class folders, a CSV or JSONL manifest."
    )
    classes: dict[str, Literal["authentic", "forged"]] = Field(
        {}, description="Folder name to label, for class folders with names that are not known."
    )
    sample_limit: int = Field(
        0, ge=0, description="Use at most so many pictures, whole groups, for quick runs; 0: all."
    )
    test_fraction: Fraction = Field(0.2, description="Part of the pictures, by groups, that only evaluation sees.")
    validation_fraction: Fraction = Field(0.2, description="Part for early stopping, calibration and the threshold.")
    split_by: Literal["balance", "digest"] = Field(
        "balance",
        description="How groups are split: balance comes nearest to the fractions in each class, but pictures added "
        "later may move any group; with digest a group stays where it is, and the fractions hold for many groups.",
    )
    max_bytes: int = Field(DEFAULT_LIMITS.max_bytes, gt=0, description="Larger files are rejected and listed.")
    max_pixels: int = Field(DEFAULT_LIMITS.max_pixels, gt=0, description="Larger pictures are rejected and listed.")
    max_pictures: int = Field(2_000_000, gt=0, description="A source with more entries is refused.")
    max_archive_bytes: int = Field(200_000_000_000, gt=0, description="A zip that unpacks to more is refused.")
    shard_mb: int = Field(64, ge=1, le=1024, description="Size of the shards pictures and maps are stored in.")
    shard_pictures: int = Field(
        5000, ge=1, le=1_000_000, description="Most pictures of a shard, and so of one task of the ELA step."
    )
    shards_in: Literal["artifact", "cache"] = Field(
        "artifact",
        description="Where pictures and evidence maps lie: in the run's artifacts, which each task on a cluster "
        "downloads whole, or in the cache, from where each reads what it needs.",
    )
    min_class_pictures: int = Field(10, ge=2, description="Fewer accepted pictures of a class fail the run.")


class TrainingOptions(Options):
    """How the network is fitted."""

    epochs: int = Field(20, ge=1, description="Most epochs of the last phase; early stopping usually ends it.")
    head_epochs: int = Field(5, ge=0, description="Epochs with the pretrained backbone frozen; 0 skips the phase.")
    batch_size: int = Field(32, ge=1, le=1024)
    learning_rate: float = Field(8e-3, gt=0, description="Adam, for the head phase and networks from scratch.")
    fine_tune_learning_rate: float = Field(1e-4, gt=0, description="Adam, for the unfrozen layers of a backbone.")
    fine_tune_layers: int = Field(30, ge=0, description="Last layers of the backbone to unfreeze; 0 keeps all frozen.")
    schedule: Literal["cosine", "plateau"] = Field(
        "cosine",
        description="Let the learning rate fall along a cosine over a phase's epochs, or where it stops helping.",
    )
    dropout: float = Field(0.2, ge=0, lt=1)
    class_weights: bool = Field(True, description="Weigh classes by inverse frequency.")
    flips: bool = Field(
        True, description="Flip maps at random, left-right and up-down; those of cells also corner-wise."
    )
    crops: float = Field(0.0, ge=0, le=0.5, description="Crop maps at random by up to this part of a side.")
    patience: int = Field(8, ge=1, description="Epochs without a better validation loss before stopping.")
    objective: str = Field(
        "macro_f1",
        description="What the threshold is best at on the validation split: macro_f1, f1, balanced_accuracy, or "
        "false_alarm:<rate>, the most found with at most that part of the authentic pictures called forged.",
    )
    continue_from_champion: bool = Field(False, description="Start from the weights of the model in service.")
    cache_mb: int = Field(2048, ge=0, description="Keep decoded maps in memory up to this size; else stream shards.")
    precision: Literal["float32", "mixed_float16", "mixed_bfloat16"] = Field(
        "float32",
        description="What the network is trained in; float16 and bfloat16 are for GPUs, the model that comes out is "
        "float32 whatever it was trained in.",
    )
    checkpoint_steps: int = Field(
        0, ge=0, description="Keep a checkpoint every so many steps of an epoch too; 0: at the end of each alone."
    )

    @field_validator("objective")
    @classmethod
    def _known(cls, objective: str) -> str:
        parse_objective(objective)
        return objective


class RunConfig(Options):
    """The parameters of the training pipeline.

    The places default to those of `manifests/`; `forgery run` sets local ones.
    """

    source: str = Field(
        "demo:",
        description="Pictures: a folder, a zip, file://, s3://bucket/prefix or zip, kaggle:NAME, hf:NAME, or demo:[N].",
    )
    recipe: str = Field(BlocksRecipe(content=True).name, description="Canonical name of the evidence recipe.")
    variants: list[str] = Field(
        [MATCHED, VARIED, PASTED],
        description="Extra training copies made before ELA: q<quality>, x<percent>, or both, e.g. x50q85; varied: one "
        "cut, resized and saved at random; pasted: what was forged, on the background of an authentic picture, where "
        "there are masks; matched is no copy but gives both classes the same saves first, so that "
        "file history cannot be learnt.",
    )
    backbone: Literal["auto", "cnn", "mobilenet_v2", "efficientnet", "xception", "blocks"] = Field(
        "auto", description="The network; auto is blocks for recipes of cells, cnn for others."
    )
    weights: str = Field(
        "", description="Start weights: empty for random, imagenet, a path or URI, or package:NAME/FILE."
    )
    seed: int = Field(0, ge=0, description="Seeds the split, the initial weights and the order of pictures.")
    data: DataOptions = Field(DataOptions(), description="How pictures are read, limited and split.")
    training: TrainingOptions = Field(TrainingOptions(), description="How the network is fitted.")
    rule: PromotionRule = Field(PromotionRule(), description="When the challenger replaces the champion.")
    bundles: str = Field("s3://models", description="Where bundles are published: s3://bucket/prefix or file://PATH.")
    cache: str = Field(
        "s3://models/cache",
        description="Where work is kept between tasks and runs, so that only what is new is computed: "
        "s3://bucket/prefix or file://PATH; empty keeps none.",
    )
    service: str = Field("kserve:forgery/forgery", description="What is deployed to: kserve:NS/NAME or local:PATH.")
    tracking: str = Field("http://mlflow.forgery:5000", description="An MLflow tracking URI; empty for none.")
    checkpoints: str = Field(
        "s3://models",
        description="Where a training that is killed goes on from: s3://bucket/prefix or file://PATH; empty for none.",
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that train together; more than one are a TFJob on a cluster, each with `gpus` GPUs.",
    )
    # Text, since Kubeflow Pipelines 2.17 fills in nothing else where a pod's resources take a parameter.
    gpus: str = Field("0", pattern=r"^\d$", description="GPUs of the training step on a cluster, 0 to 9.")

    @field_validator("gpus", mode="before")
    @classmethod
    def _text(cls, gpus: object) -> object:
        return str(gpus) if isinstance(gpus, int) else gpus

    @field_validator("variants")
    @classmethod
    def _of_known_forms(cls, variants: list[str]) -> list[str]:
        parse_variants([name for name in variants if name != MATCHED])
        return variants

    @field_validator("recipe")
    @classmethod
    def _known(cls, recipe: str) -> str:
        return parse_recipe(recipe).name


class RollbackConfig(Options):
    """The parameters of the rollback pipeline; its places are those of training."""

    to: int = Field(0, ge=0, description="Revision to go back to; 0 for the one before.")
    service: str = Field(RunConfig().service, description=str(RunConfig.model_fields["service"].description))
    tracking: str = Field(RunConfig().tracking, description=str(RunConfig.model_fields["tracking"].description))
