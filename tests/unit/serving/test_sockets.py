"""What the servers listen on."""

import socket
from pathlib import Path

import pytest

from forgery.errors import InvalidConfig
from serving.sockets import LOOPBACK, free_ports, listen, usable_ports


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


def test_wanted_ports_are_probed_in_their_order() -> None:
    first, second = free_ports(2)
    assert usable_ports(LOOPBACK, second, 0, first)[::2] == [second, first]
    with listen(LOOPBACK, second), pytest.raises(InvalidConfig, match=f"port {second}.*choose another port"):
        usable_ports(LOOPBACK, first, second)


@pytest.mark.parametrize("ephemeral", ["32768\t60999\n", "20100\t65535\n", None])
def test_a_free_port_is_none_that_a_connection_may_get(
    ephemeral: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "range"
    monkeypatch.setattr("serving.sockets._EPHEMERAL", told)
    if ephemeral:
        told.write_text(ephemeral)
    ports = free_ports(3)
    first = int(ephemeral.split()[0]) if ephemeral else 49152
    assert len(set(ports)) == 3
    assert all(port < first for port in ports)


def test_where_connections_get_any_port_there_are_free_ones_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "range"
    told.write_text("1024 65535")
    monkeypatch.setattr("serving.sockets._EPHEMERAL", told)
    assert len(set(free_ports(200))) == 200
