"""Listening sockets and free ports."""

import contextlib
import http.client
import random
import socket
from pathlib import Path

from forgery.errors import InvalidConfig

LOOPBACK = "127.0.0.1"
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket; with no host on all addresses, IPv6 and IPv4 where the machine has both.

    What it accepts sends without waiting: asyncio sees to that only for sockets made with a protocol number, and an
    answer written in two parts (head, body) else waits 40 ms for the client's delayed acknowledgement.

    Raises:
        InvalidConfig: The port is taken or may not be used.
    """
    dual = not host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual or ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, dualstack_ipv6=dual, backlog=2048)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidConfig(f"cannot listen on port {port}: {reason}; choose another port") from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def usable_ports(host: str, *wanted: int) -> list[int]:
    """The wanted ports if nobody listens on them, in their order; for each 0 a free one, all different.

    Raises:
        InvalidConfig: A port is taken or may not be used.
    """
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(listen(host, port) if port else _listen_anywhere(host)) for port in wanted]
        return [int(probe.getsockname()[1]) for probe in probes]


def free_ports(count: int) -> list[int]:
    """Different loopback ports that nobody listens on."""
    return usable_ports(LOOPBACK, *[0] * count)


def _listen_anywhere(host: str) -> socket.socket:
    # For 0 the kernel gives a port that an outgoing connection may have by the time a server binds it.
    quiet = _quiet_ports()
    for port in random.SystemRandom().sample(quiet, min(20, len(quiet))):
        with contextlib.suppress(InvalidConfig):
            return listen(host, port)
    return listen(host, 0)


def _quiet_ports() -> range:
    """Ports that no outgoing connection gets and no node port of Kubernetes has (these begin at 30000)."""
    # Where the kernel does not tell: IANA's range, RFC 6335, section 6.
    first = int(_EPHEMERAL.read_text().split()[0]) if _EPHEMERAL.exists() else 49152
    return range(20_000, min(first, 30_000))


def reserve_shared_port() -> socket.socket:
    """A loopback port that several processes may listen on, kept from others for as long as the socket is open."""
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    reserved.bind((LOOPBACK, 0))
    return reserved


def answers(host: str, port: int, path: str, timeout_s: float = 1.0) -> bool:
    """Whether `GET path` is answered with 200."""
    connection = http.client.HTTPConnection(host or LOOPBACK, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
