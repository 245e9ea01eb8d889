"""What the servers listen on."""

import socket

import pytest

from forgery.errors import InvalidConfig
from serving.sockets import LOOPBACK, listen


@pytest.mark.parametrize("host", [LOOPBACK, ""])
def test_an_answer_in_two_parts_does_not_wait_for_the_clients_acknowledgement(host: str) -> None:
    with listen(host, 0) as listener, socket.create_connection((LOOPBACK, listener.getsockname()[1])):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_taken_port_is_named() -> None:
    with listen(LOOPBACK, 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InvalidConfig, match=f"cannot listen on port {port}"):
            listen(LOOPBACK, port)
