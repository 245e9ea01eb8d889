"""From the text that names a service to its adapter."""

import re
from pathlib import Path

from forgery.errors import InvalidConfig
from forgery.rollout.port import InferenceServices

# Kubernetes accepts names of this form (RFC 1123 label).
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_KSERVE = re.compile(rf"kserve:(?P<namespace>{_LABEL})/(?P<name>{_LABEL})")


def parse_kserve(text: str) -> tuple[str, str] | None:
    """Namespace and name of `kserve:NAMESPACE/NAME`; None where it is of another form."""
    found = _KSERVE.fullmatch(text)
    return (found["namespace"], found["name"]) if found else None


def open_service(text: str) -> InferenceServices:
    """Open the InferenceService that `text` names; nothing is read yet.

    Args:
        text: `local:PATH` for a state folder, `kserve:NAMESPACE/NAME` for one on a cluster.

    Raises:
        InvalidConfig: It is of neither form.
        ServiceUnavailable: No cluster is configured, for `kserve:`.
    """
    place, _, rest = text.partition(":")
    if place == "local" and rest:
        from forgery.rollout.local import LocalService

        return LocalService(Path(rest))
    if found := parse_kserve(text):
        from forgery.rollout.kserve import connect

        return connect(*found)
    raise InvalidConfig(f"service: {text!r} is no service; accepted are local:PATH and kserve:NAMESPACE/NAME")
