"""Who has a port: so that a second start can say what is in its way."""

import errno
import socket
import sys
from pathlib import Path


def is_free(address: str, port: int) -> bool:
    """Whether the address could be bound now."""
    return _refusal(address, port) is None


def obstacle(address: str, port: int) -> str | None:
    """What is in the way of listening there, as a sentence; None if nothing is."""
    error = _refusal(address, port)
    if error is None:
        return None
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {address} is taken by {holder(port)}"
    return f"port {port} on {address} cannot be had: {error.strerror}"


def _refusal(address: str, port: int) -> OSError | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error
    return None


def holder(port: int) -> str:
    """Who listens on the port, like `envoy (pid 4711)`; `another process` where the system does not tell."""
    if sys.platform == "linux":
        for inode in _listening(port):
            found = _owner(inode)
            if found:
                return found
    return "another process"


def _listening(port: int) -> list[str]:
    # proc(5): local address in hexadecimal, state 0A is LISTEN, inode in the tenth column.
    inodes: list[str] = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        listening = (row for row in map(str.split, rows) if row[3] == "0A")
        inodes += [row[9] for row in listening if int(row[1].rpartition(":")[2], 16) == port]
    return inodes


def _owner(inode: str) -> str | None:
    wanted = f"socket:[{inode}]"
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(str(fd.readlink()) == wanted for fd in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:  # ended meanwhile, or somebody else's
            continue
    return None
