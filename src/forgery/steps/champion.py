"""Which model is in service now: read once, so that every later step compares with the same one."""

import json
import logging
import shutil
from dataclasses import asdict
from pathlib import Path

from forgery.bundle import Bundle, open_bundle
from forgery.rollout.port import ServiceState
from forgery.rollout.service import open_service
from forgery.stores import fetch

logger = logging.getLogger(__name__)

_STATE = "state.json"
_BUNDLE = "bundle"


def find_champion(service: str, out: Path) -> ServiceState:
    """Write the state of `service` and a verified copy of the bundle it serves into the folder `out`.

    Raises:
        ServiceUnavailable: The InferenceService cannot be read.
        BundleError: The bundle in service is damaged.
    """
    state = open_service(service).read()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    if state.storage_uri is None:
        logger.info("%s serves no model yet", service)
    else:
        bundle = fetch(state.storage_uri, out / "fetched")
        bundle.path.rename(out / _BUNDLE)
        shutil.rmtree(out / "fetched", ignore_errors=True)
        logger.info("%s serves %s", service, bundle.digest)
    (out / _STATE).write_text(json.dumps(asdict(state)))
    return state


def read_champion(folder: Path) -> tuple[ServiceState, Bundle | None]:
    """What `find_champion` wrote: the state, and the bundle unless the service has none yet."""
    state = ServiceState(**json.loads((folder / _STATE).read_text()))
    return state, open_bundle(folder / _BUNDLE) if state.storage_uri is not None else None
