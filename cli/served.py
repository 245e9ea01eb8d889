"""The local InferenceService as a child process, for commands that need it running for a while."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console

from cli.home import Home
from forgery.errors import ServiceUnavailable
from forgery.golden import golden_picture

_END_WITHIN_S = 30


@dataclass(frozen=True)
class Endpoint:
    """Where the service answers."""

    http_url: str
    grpc_url: str

    def model_version(self) -> str:
        """The version that the endpoint itself answers a picture with."""
        from cli.endpoint import score

        return str(score(self.http_url, "golden.jpg", golden_picture())["model_version"])


@contextmanager
def served(home: Home, console: Console) -> Iterator[Endpoint]:
    """Run `forgery serve` on free ports while the body runs.

    Raises:
        ServiceUnavailable: It ended before it was ready.
    """
    command = [sys.executable, "-m", "cli", "serve", "--http-port", "0", "--grpc-port", "0"]
    environment = {**os.environ, "FORGERY_HOME": str(home.path)}
    with (
        (home.path / "serve.log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as process,
    ):
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith("ready:"):
                raise ServiceUnavailable(f"the service ended before it was ready; see {home.path / 'serve.log'}")
            console.print(line.strip(), highlight=False)
            _, _, http_url, _, grpc_url = line.split()
            yield Endpoint(http_url, grpc_url)
        finally:
            process.terminate()
            process.wait(_END_WITHIN_S)
