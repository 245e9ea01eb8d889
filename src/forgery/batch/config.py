"""The parameters of the batch pipeline."""

from pydantic import Field

from forgery.config import DataOptions, Options, RunConfig

_RUN = RunConfig()


class BatchConfig(Options):
    """What is scored, by which service's model, and where the answers go; places are those of training."""

    source: str = Field("demo:", description=str(RunConfig.model_fields["source"].description))
    out: str = Field("s3://models/scores", description="Where Parquet files go: s3://bucket/prefix or file://PATH.")
    service: str = Field(_RUN.service, description=str(RunConfig.model_fields["service"].description))
    shard_pictures: int = Field(2000, ge=1, le=100_000, description="Pictures of one task and one Parquet file.")
    data: DataOptions = Field(_RUN.data, description=str(RunConfig.model_fields["data"].description))
