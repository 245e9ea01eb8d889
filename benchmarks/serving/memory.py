"""What many large pictures at once do to the transformer."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.rows import Row
from benchmarks.serving import clients, servers
from benchmarks.serving.pictures import LARGE_PX, photograph
from benchmarks.serving.servers import Server
from forgery.bundle import Bundle

_AT_ONCE = 16


def _patient(behind: Server, log: Path) -> AbstractContextManager[Server]:
    # Sixteen of them may take longer than a request of one may.
    return servers.transformer(behind, log, "--request_timeout_s", "600")


def measure(kind: str, bundle: Bundle, log: Path) -> Row:
    """Peak resident memory of a fresh transformer that is sent sixteen pictures of 12 megapixels at once."""
    picture = photograph(LARGE_PX)
    with servers.predictor(bundle, "litert", log) as behind, _patient(behind, log) as before:
        connect = clients.over_grpc(before.grpc)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(lambda _: connect()([picture]), range(_AT_ONCE)))
        peak = before.peak_memory_mb()
    return Row(
        name=f"{kind}: peak MB of the transformer, sixteen 12-megapixel pictures at once", ratio=peak, goal="<= 600"
    )
