"""Which bundle a person means."""

from pathlib import Path

from cli.home import Home
from forgery.bundle import Bundle, open_bundle
from forgery.errors import ServiceUnavailable


def open_named(name: str | None) -> Bundle:
    """Open a verified bundle: by folder, by URI, or the one that the local service asks for.

    Raises:
        BundleError: It is none, or was altered.
        ServiceUnavailable: No name was given and the service has no model yet.
    """
    from forgery.stores import fetch

    if name is not None and "://" not in name:
        return open_bundle(Path(name))
    home = Home.from_environment()
    return fetch(name or storage_uri(home), home.cache)


def storage_uri(home: Home) -> str:
    """URI of the bundle that the local service asks for."""
    from forgery.rollout.service import open_service

    uri = open_service(f"local:{home.service}").read().storage_uri
    if uri is None:
        raise ServiceUnavailable(f"no model is in service under {home.path}; train one with: forgery run")
    return uri
