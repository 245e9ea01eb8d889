"""Listening sockets and free ports."""

import http.client
import socket

from forgery.errors import InvalidConfig

LOOPBACK = "127.0.0.1"


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


def usable_port(host: str, port: int) -> int:
    """The port itself if nobody listens on it, or a free one for 0. Raises InvalidConfig."""
    with listen(host, port) as probe:
        return int(probe.getsockname()[1])


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
