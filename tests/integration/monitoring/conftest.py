"""A service with a model that knows its reference, and logs of what it saw."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from forgery.bundle import Bundle, seal
from forgery.monitoring.payloads import Payload, Scored, pack, segment_name
from forgery.monitoring.reference import Reference, write_reference
from forgery.rollout.port import ServiceState
from forgery.rollout.service import open_service
from forgery.stores import publish

PutLog = Callable[..., Path]


def facts(count: int, seed: int, moved: float) -> Iterator[Scored]:
    for level, score in np.random.default_rng(seed).normal(0, 1, (count, 2)):
        yield Scored(
            format="JPEG",
            jpeg_quality=90,
            ela_mean=5 + level + moved,
            ela_deviation=3 + abs(level),
            ela_p99=int(20 + 5 * level),
            probability_forged=float(1 / (1 + np.exp(-score))),
        )


@pytest.fixture
def served(tmp_path: Path, make_light_bundle: Callable[[str], Bundle]) -> tuple[str, Bundle]:
    """A local service that asks for a bundle with a reference of 400 pictures, and that bundle."""
    draft = make_light_bundle("watched")
    write_reference(draft.path, Reference(split="validation", groups=400, pictures=tuple(facts(400, 0, 0.0))))
    bundle = seal(draft.path, draft.info)
    service = f"local:{tmp_path}/service"
    open_service(service).swap(ServiceState(None, 0), publish(bundle, f"file://{tmp_path}/models"))
    return service, bundle


@pytest.fixture
def put_log(tmp_path: Path, served: tuple[str, Bundle]) -> PutLog:
    """Log pictures that the bundle answered ten minutes ago, their error levels `moved`."""

    def put(count: int = 300, moved: float = 0.0) -> Path:
        folder = tmp_path / "payloads"
        folder.mkdir()
        at = datetime.now(UTC) - timedelta(minutes=10)
        lines = [
            Payload(
                time=at.isoformat(),
                digest=f"{index:064x}",
                size_bytes=1000,
                recipe=served[1].info.recipe,
                label="forged",
                model_version=served[1].digest,
                **row.model_dump(),
            ).model_dump_json()
            for index, row in enumerate(facts(count, 1, moved))
        ]
        (folder / segment_name(at, "pod-1")).write_bytes(pack([line.encode() + b"\n" for line in lines]))
        return folder

    return put
