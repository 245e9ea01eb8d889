"""Flags that both server processes share; names are those that KServe's controller passes."""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import NoReturn

from serving import journal
from serving.limits import ServingLimits
from serving.server import Address

logger = logging.getLogger(__name__)


def add_server_flags(parser: argparse.ArgumentParser) -> None:
    """Name, address, logging and limits."""
    parser.add_argument("--model_name", default="forgery", help="Name in the URL. Default: forgery.")
    parser.add_argument("--host", default="", help="Address to listen on. Default: all of this machine.")
    parser.add_argument("--http_port", type=int, default=8080, help="REST. Default: 8080.")
    parser.add_argument("--grpc_port", type=int, default=8081, help="gRPC. Default: 8081.")
    parser.add_argument("--share_grpc_port", action="store_true", help="Let another process listen on it as well.")
    parser.add_argument("--log_level", default=os.environ.get("FORGERY_LOG_LEVEL", "info"), help="Default: info.")
    parser.add_argument("--docs", action="store_true", help="Offer a page to try the API at /docs.")
    parser.add_argument("--end_with_parent", action="store_true", help="Drain and end when standard input closes.")
    # The controller adds it by itself where containerConcurrency is set; replicas scale, workers do not.
    parser.add_argument("--workers", type=int, choices=[1], default=1, help="Must be 1: scale by replicas.")
    ServingLimits.add_flags(parser)


def begin(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read a server's flags and set up what both servers need before anything else: the watch and the log.

    Flags that are not known here only warn: KServe's controller adds some to every transformer.
    """
    add_server_flags(parser)
    flags, ignored = parser.parse_known_args(arguments)
    watch_parent(flags)
    journal.configure_logging(flags.log_level)
    if ignored:
        logger.warning("flags not known here are ignored: %s", " ".join(ignored))
    return flags


def read_address(flags: argparse.Namespace) -> Address:
    """Where to listen."""
    return Address(flags.host, flags.http_port, flags.grpc_port, flags.share_grpc_port)


def watch_parent(flags: argparse.Namespace) -> None:
    """With `--end_with_parent`, end like on SIGTERM once the other end of standard input is gone.

    The kernel closes a pipe whatever its owner dies of, so this holds for `kill -9` too, and on every system.
    """
    if flags.end_with_parent:
        threading.Thread(target=_end_at_end_of_input, daemon=True).start()


def _end_at_end_of_input() -> None:
    # Unbuffered: a buffered reader that waits here would hold its lock while the interpreter ends.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def leave(code: int) -> NoReturn:
    """End the process at once: all is drained, and TensorFlow's and gRPC's threads take a second to unwind."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
