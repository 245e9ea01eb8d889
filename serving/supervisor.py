"""The InferenceService on one machine: the processes that the images run, kept as the state folder's spec says.

The transformer holds the public ports and stays. Each bundle gets a predictor process of its own; all of them listen
on one private gRPC port that they share, a new one only once it has loaded its bundle and answered its golden
request, and the old one then drains: what a Service does in a cluster, the kernel does here.
"""

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from serving.processes import Process
from serving.releases import Backoff, Predictors
from serving.sockets import LOOPBACK, answers, reserve_shared_port, usable_ports
from serving.state import StateFolder

logger = logging.getLogger(__name__)

_POLL_S = 0.1


def run(
    state: Path,
    http_port: int,
    grpc_port: int,
    model_name: str = "forgery",
    on_ready: Callable[[str, str], None] | None = None,
    host: str = LOOPBACK,
) -> int:
    """Serve what the state folder asks for until SIGTERM or SIGINT; prints nothing.

    Args:
        state: The folder of `forgery.rollout.local.LocalService`; made if missing. Logs and fetched bundles go there.
        http_port: REST for clients; 0 picks a free one.
        grpc_port: gRPC for clients; 0 picks a free one.
        model_name: Name in the URL.
        on_ready: Called once with `http://host:port` and `grpc://host:port` when requests are answered; with no model
            asked for, or one that cannot be served, when that is known.
        host: Address to listen on.

    Returns:
        0.

    Raises:
        InvalidConfig: The folder is being served already, or a port is taken.
    """
    folder = StateFolder(state)
    with folder.held(), closing(reserve_shared_port()) as shared, _stop_signal() as stop:
        hop_port = int(shared.getsockname()[1])
        http_port, grpc_port = usable_ports(host, http_port, grpc_port)
        # Closed in the other order: the front first, while predictors can still answer what is inside.
        with (
            closing(Predictors(folder, model_name, hop_port)) as predictors,
            closing(Front(folder, http_port, grpc_port, hop_port, model_name, host)) as front,
        ):
            announced = False
            while not stop.wait(_POLL_S):
                predictors.follow(folder.spec())
                front.watch()
                folder.publish(predictors.status(front.http_port, front.grpc_port))
                if not announced and on_ready and predictors.state != "loading" and front.settled(predictors.state):
                    on_ready(f"http://{host}:{front.http_port}", f"grpc://{host}:{front.grpc_port}")
                    announced = True
    return 0


class Front:
    """The transformer process on the public ports; started again whenever it ends."""

    def __init__(
        self, folder: StateFolder, http_port: int, grpc_port: int, hop_port: int, model_name: str, host: str
    ) -> None:
        """Start it, in front of the predictors on `hop_port`."""
        self.http_port = http_port
        self.grpc_port = grpc_port
        self._host = host
        self._model_name = model_name
        self._log = folder.path / "logs" / "transformer.log"
        self._arguments = ["--model_name", model_name, "--predictor_host", f"{LOOPBACK}:{hop_port}", "--host", host]
        self._arguments += ["--http_port", str(http_port), "--grpc_port", str(grpc_port)]
        self._backoff = Backoff()
        self._process = self._start()

    def watch(self) -> None:
        """Start it again if it ended; never waits."""
        if self._process.ended and self._backoff.over:
            logger.error("the transformer ended: %s", self._process.last_words())
            self._backoff.failed(self._process.age_s)
            self._process = self._start()

    def settled(self, predictors: str) -> bool:
        """Whether it answers as well as it can: ready when a model serves, alive otherwise."""
        path = f"/v2/models/{self._model_name}/ready" if predictors == "serving" else "/v2/health/live"
        return answers(self._host, self.http_port, path)

    def close(self) -> None:
        """Drain and end it."""
        self._process.finish()

    def _start(self) -> Process:
        return Process("serving.transformer", self._arguments, self._log, self.http_port, "/v2/health/live")


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; signals reach the main thread alone, other threads just never see it."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
