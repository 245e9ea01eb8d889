"""Put a compiled pipeline on the server, once for each content."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.kubeflow.compiled import CompiledPipeline
from cli.kubeflow.connection import Server

if TYPE_CHECKING:
    from kfp_server_api import V2beta1Pipeline, V2beta1PipelineVersion


@dataclass(frozen=True)
class Uploaded:
    """A version of a pipeline on the server; `new` if this call put it there."""

    pipeline_id: str
    version_id: str
    name: str
    version: str
    new: bool
    link: str


def upload(server: Server, pipeline: CompiledPipeline) -> Uploaded:
    """Make sure that the server has this very YAML as a version of the pipeline of that name.

    Two uploads at once, or one cut off in the middle and repeated, end in one pipeline and one version.

    Raises:
        PipelinesUnavailable, PipelinesRefused: The server does not answer, or refuses the pipeline.
    """
    from cli.kubeflow.client import create_once

    with server.asked():
        owner = _find_pipeline(server, pipeline) or create_once(
            lambda: _create_pipeline(server, pipeline), lambda: _find_pipeline(server, pipeline)
        )
        there = _find_version(server, owner.pipeline_id, pipeline.version)
        version = there or create_once(
            lambda: _create_version(server, owner.pipeline_id, pipeline),
            lambda: _find_version(server, owner.pipeline_id, pipeline.version),
        )
    page = f"pipelines/details/{owner.pipeline_id}/version/{version.pipeline_version_id}"
    return Uploaded(
        owner.pipeline_id,
        version.pipeline_version_id,
        pipeline.name,
        pipeline.version,
        there is None,
        server.link(page),
    )


def named(name: str) -> str:
    """The server's filter for things with this display name; it compares without regard to case."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})


def _find_pipeline(server: Server, pipeline: CompiledPipeline) -> "V2beta1Pipeline | None":
    from cli.kubeflow.client import all_pages

    pages = all_pages(
        server.client.list_pipelines, "pipelines", filter=named(pipeline.name), namespace=server.namespace
    )
    return next((found for found in pages if found.display_name == pipeline.name), None)


def _find_version(server: Server, pipeline_id: str, version: str) -> "V2beta1PipelineVersion | None":
    from cli.kubeflow.client import all_pages

    pages = all_pages(
        server.client.list_pipeline_versions, "pipeline_versions", pipeline_id=pipeline_id, filter=named(version)
    )
    return next((found for found in pages if found.display_name == version), None)


def _create_pipeline(server: Server, pipeline: CompiledPipeline) -> "V2beta1Pipeline":
    import kfp_server_api

    # Without a version: `upload_pipeline` would name the first one like the pipeline, and it could not be told again.
    return server.client.pipelines.pipeline_service_create_pipeline(
        kfp_server_api.V2beta1Pipeline(
            name=pipeline.name,
            display_name=pipeline.name,
            description=pipeline.description,
            namespace=server.namespace,
        )
    )


def _create_version(server: Server, pipeline_id: str, pipeline: CompiledPipeline) -> "V2beta1PipelineVersion":
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{pipeline.name}.yaml"
        file.write_text(pipeline.text)
        return server.client.upload_pipeline_version(
            str(file), pipeline.version, pipeline_id=pipeline_id, description=", ".join(pipeline.images)
        )
