"""Whether a port is free, and who has it."""

import os
import socket
import sys
from pathlib import Path

import pytest

from extproc.control.ports import holder, is_free, obstacle


def _here() -> list[tuple[socket.AddressFamily, str]]:
    """Loopback, in as many families as this machine has."""
    found = [(socket.AF_INET, "127.0.0.1")]
    if socket.has_dualstack_ipv6():
        found.append((socket.AF_INET6, "::1"))
    return found


@pytest.mark.parametrize(("family", "address"), _here())
def test_a_port_of_ours(family: socket.AddressFamily, address: str) -> None:
    with socket.socket(family) as listener:
        listener.bind((address, 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not is_free(address, port)
        name = Path("/proc/self/comm").read_text().strip() if sys.platform == "linux" else ""
        assert holder(port) == (f"{name} (pid {os.getpid()})" if name else "another process")
    assert is_free(address, port)
    assert holder(port) == "another process"


def test_a_connection_is_no_listener() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        assert holder(client.getsockname()[1]) == "another process"


def test_an_address_that_is_not_ours() -> None:
    assert not is_free("203.0.113.1", 0)


def test_what_is_in_the_way() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = obstacle("127.0.0.1", port)
        assert said is not None
        assert said.startswith(f"port {port} on 127.0.0.1 is taken by ")
    assert obstacle("127.0.0.1", port) is None
    # An address for documentation, which nobody has (RFC 5737).
    assert obstacle("203.0.113.1", port) == f"port {port} on 203.0.113.1 cannot be had: Cannot assign requested address"
