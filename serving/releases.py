"""Bundles on their way into service, in it and out of it, each as a predictor process of its own."""

import logging
import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from forgery.bundle import Bundle
from forgery.errors import ForgeryError
from forgery.rollout.local import Spec
from forgery.stores import fetch
from serving.processes import Process, forget_old_logs
from serving.sockets import LOOPBACK, free_ports
from serving.state import PublishedStatus, StateFolder

logger = logging.getLogger(__name__)

# TensorFlow's import and a large SavedModel on a busy laptop.
_LOAD_TIMEOUT_S = 180.0
_FIRST_BACKOFF_S = 0.5
_LAST_BACKOFF_S = 30.0
# Whatever ran this long has not failed at starting.
_STABLE_S = 60.0


@dataclass
class Release:
    """One bundle on its way into service, in it, or out of it."""

    spec: Spec
    fetched: Future[Bundle]
    process: Process | None = None

    @property
    def model_version(self) -> str | None:
        """The bundle's digest, once it is fetched."""
        if self.fetched.done() and self.fetched.exception() is None:
            return self.fetched.result().digest
        return None


class Backoff:
    """Doubles the wait from failure to failure, and forgets after a stable while."""

    def __init__(self) -> None:
        """No failure yet."""
        self._wait_s = _FIRST_BACKOFF_S
        self._until = 0.0

    @property
    def over(self) -> bool:
        """Whether trying again is due."""
        return time.monotonic() >= self._until

    def failed(self, ran_s: float = 0.0) -> None:
        """Note a failure of something that had run for so long."""
        if ran_s > _STABLE_S:
            self._wait_s = _FIRST_BACKOFF_S
        self._until = time.monotonic() + self._wait_s
        self._wait_s = min(2 * self._wait_s, _LAST_BACKOFF_S)


class Predictors:
    """The predictor processes: at most one in service, one candidate, and those that drain."""

    def __init__(self, folder: StateFolder, model_name: str, grpc_port: int) -> None:
        """Nothing runs before the first `follow`."""
        self._folder = folder
        self._model_name = model_name
        self._grpc_port = grpc_port
        # More than one, so that a store that hangs does not hold up the next bundle.
        self._fetcher = ThreadPoolExecutor(4, "fetch")
        self._starts = 0
        self._backoff = Backoff()
        self._wanted = Spec()
        self._candidate: Release | None = None
        self._current: Release | None = None
        self._draining: list[Process] = []
        self._lost: Spec | None = None
        self._failure = ""

    @property
    def state(self) -> Literal["waiting", "loading", "serving", "failed"]:
        """As `status.json` says it."""
        if self._failure:
            return "failed"
        if self._candidate is not None or self._draining:
            return "loading"
        return "waiting" if self._wanted.storage_uri is None else "serving" if self._current else "loading"

    def status(self, http_port: int, grpc_port: int) -> PublishedStatus:
        """What clients and rollouts may know."""
        return PublishedStatus(
            pid=os.getpid(),
            generation=self._wanted.generation,
            storage_uri=self._wanted.storage_uri,
            model_version=self._current.model_version if self._current else None,
            state=self.state,
            message=self._failure,
            http_port=http_port,
            grpc_port=grpc_port,
        )

    def follow(self, spec: Spec) -> None:
        """Take one step towards what the spec asks for; called often, never waits."""
        if spec != self._wanted:
            self._want(spec)
        self._draining = [process for process in self._draining if not process.ended]
        self._watch_current()
        if self._candidate is not None:
            self._advance(self._candidate)

    def close(self) -> None:
        """End all of them."""
        self._fetcher.shutdown(wait=False, cancel_futures=True)
        self._drop_candidate()
        self._retire_current()
        for process in self._draining:
            process.finish()

    def _want(self, spec: Spec) -> None:
        logger.info("generation %d asks for %s", spec.generation, spec.storage_uri)
        self._wanted, self._failure, self._backoff = spec, "", Backoff()
        self._drop_candidate()
        if spec.storage_uri is None:
            self._retire_current()
        elif self._current is None or self._current.spec.storage_uri != spec.storage_uri:
            self._begin(spec)

    def _begin(self, spec: Spec) -> None:
        cache = self._folder.path / "bundles"
        self._candidate = Release(spec, self._fetcher.submit(fetch, spec.storage_uri or "", cache))

    def _advance(self, candidate: Release) -> None:
        if candidate.process is None:
            self._start(candidate)
        elif candidate.process.ended:
            self._fail(candidate.process.last_words())
        elif candidate.process.ready():
            self._promote(candidate)
        elif candidate.process.age_s > _LOAD_TIMEOUT_S:
            self._fail(f"the bundle did not load within {_LOAD_TIMEOUT_S:.0f} s")

    def _start(self, candidate: Release) -> None:
        if not candidate.fetched.done():
            return
        error = candidate.fetched.exception()
        if error is not None:
            if not isinstance(error, ForgeryError):
                logger.error("fetching failed", exc_info=error)
            self._fail(str(error) or type(error).__name__)
            return
        self._starts += 1
        logs, (http_port,) = self._folder.path / "logs", free_ports(1)
        arguments = ["--model_dir", str(candidate.fetched.result().path), "--model_name", self._model_name]
        arguments += ["--host", LOOPBACK, "--http_port", str(http_port)]
        arguments += ["--grpc_port", str(self._grpc_port), "--share_grpc_port"]
        log = logs / f"predictor-{self._starts:04d}.log"
        path = f"/v2/models/{self._model_name}/ready"
        candidate.process = Process("serving.predictor", arguments, log, http_port, path)
        forget_old_logs(logs, "predictor-")

    def _promote(self, candidate: Release) -> None:
        self._retire_current()
        self._current, self._candidate = candidate, None
        if candidate.spec.storage_uri == self._wanted.storage_uri:
            self._failure = ""
        logger.info("in service: %s", candidate.model_version)

    def _fail(self, message: str) -> None:
        logger.error("generation %d is not served: %s", self._wanted.generation, message)
        self._failure = message
        self._backoff.failed()
        self._drop_candidate()

    def _watch_current(self) -> None:
        current = self._current
        if current is not None and current.process is not None and current.process.ended:
            logger.error("the predictor ended: %s", current.process.last_words())
            self._backoff.failed(current.process.age_s)
            self._current, self._lost = None, current.spec
        if self._current is None and self._candidate is None and self._backoff.over:
            self._restart()

    def _restart(self) -> None:
        # What served last is known to load; a newer spec that failed is not worth an outage.
        spec = self._lost if self._failure and self._lost else self._wanted
        if spec.storage_uri is not None:
            self._begin(spec)

    def _drop_candidate(self) -> None:
        self._drain(self._candidate)
        self._candidate = None

    def _retire_current(self) -> None:
        self._drain(self._current)
        self._current = None

    def _drain(self, release: Release | None) -> None:
        if release is not None and release.process is not None:
            release.process.drain()
            self._draining.append(release.process)
