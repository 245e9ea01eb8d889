"""The page and the model it asks, in one container: `python app.py` serves the page on port 7860.

With the variable FORGERY_URL the page asks the endpoint at that address instead, and no model is loaded here.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

FOLDER = Path(__file__).resolve().parent
LOOPBACK = "127.0.0.1"
_START_TIMEOUT_S = 180
_POLL_S = 0.2
_PREDICTOR_PORTS = (9080, 9081)
Server = subprocess.Popen[bytes]


def main() -> int:
    """Serve until one of the processes ends or SIGTERM comes; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=7860, help="Of the page.")
    parser.add_argument("--address", default="0.0.0.0", help="Of the page; all of the container's.")  # noqa: S104
    parser.add_argument(
        "--endpoint-ports", type=int, nargs=2, default=(8080, 8081), help="REST and gRPC, in here only."
    )
    parser.add_argument("--predictor-ports", type=int, nargs=2, default=_PREDICTOR_PORTS, help="The same, behind it.")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    os.environ["PYTHONPATH"] = str(FOLDER)
    os.environ.setdefault("FORGERY_EXAMPLES", str(FOLDER / "examples"))
    os.environ.setdefault("FORGERY_MODEL_CARDS", str(FOLDER / "models"))
    running: list[Server] = []
    try:
        if not os.environ.get("FORGERY_URL"):
            os.environ["FORGERY_URL"] = f"http://{LOOPBACK}:{options.endpoint_ports[0]}"
            running += _servers(options.endpoint_ports, options.predictor_ports)
            _await(f"{os.environ['FORGERY_URL']}/v2/models/forgery/ready", running)
        running.append(_page(options.port, options.address))
        while all(each.poll() is None for each in running):
            time.sleep(_POLL_S)
        return 1
    finally:
        _end(running)


def _servers(ports: Sequence[int], behind: Sequence[int]) -> list[Server]:
    """The transformer, which takes pictures, and behind it the predictor, which holds the model."""
    model = next(path for path in (FOLDER / "models").iterdir() if path.is_dir())
    predictor = ["--model_dir", str(model), *_listen(behind)]
    transformer = ["--predictor_host", f"{LOOPBACK}:{behind[1]}", *_listen(ports)]
    return [_server("serving.predictor", predictor), _server("serving.transformer", transformer)]


def _listen(ports: Sequence[int]) -> list[str]:
    return ["--host", LOOPBACK, "--http_port", str(ports[0]), "--grpc_port", str(ports[1])]


def _server(module: str, arguments: list[str]) -> Server:
    # Its standard input tells it when this process is gone.
    return subprocess.Popen([sys.executable, "-m", module, *arguments, "--end_with_parent"], stdin=subprocess.PIPE)


def _page(port: int, address: str) -> Server:
    options = ["--server.port", str(port), "--server.address", address, "--browser.gatherUsageStats", "false"]
    # The Hub shows the page inside a page of its own, where browsers keep back the cookie of this protection and
    # uploads would fail. There is nothing to protect: nobody logs in, and nothing is kept.
    options += ["--server.enableXsrfProtection", "false", "--server.enableCORS", "false", "--server.headless", "true"]
    return subprocess.Popen([sys.executable, "-m", "streamlit", "run", str(FOLDER / "ui" / "page.py"), *options])


def _await(url: str, servers: list[Server]) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and all(each.poll() is None for each in servers):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 -- of this machine
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL_S)
    raise SystemExit("the model did not start; the lines above say why")


def _end(servers: list[Server]) -> None:
    for each in reversed(servers):
        each.terminate()
    for each in servers:
        each.wait()


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    sys.exit(main())
