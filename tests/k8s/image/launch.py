"""`python -m tests.k8s.image.launch`: a process in a root folder, as a container's runtime would start it.

The runtime here is `unshare`, which gives it mounts and a network of its own. The root cannot be written to, but for `--writable` folders,
which are empty; `--file HERE=THERE` lays a file into it. The process is somebody without a name, and without any capability.
"""

import argparse
import fcntl
import os
import socket
import struct
import subprocess
from pathlib import Path

_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
"""netdevice(7)"""


def main() -> None:
    """Becomes the process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--writable", action="append", default=[])
    parser.add_argument("--file", action="append", default=[])
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--user", type=int, required=True)
    parser.add_argument("--folder", default="/")
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    _loopback()
    _mount(given.root, given.writable, dict(pair.split("=", 1) for pair in given.file), given.user)
    os.chroot(given.root)
    os.chdir(given.folder)
    os.setgroups([])
    os.setgid(given.user)
    os.setuid(given.user)
    os.execve("/usr/bin/env", ["env", *given.command], dict(pair.split("=", 1) for pair in given.env))


def _loopback() -> None:
    """Switches it on, which is all that there is of a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        (flags,) = struct.unpack_from("16xH", fcntl.ioctl(any_socket, _GET_FLAGS, struct.pack("16sH14x", b"lo", 0)))
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14x", b"lo", flags | _UP))


def _mount(root: Path, writable: list[str], files: dict[str, str], user: int) -> None:
    def mount(*arguments: str) -> None:
        subprocess.run(["mount", *arguments], check=True)

    # What is mounted on has to be there before nothing can be made any more.
    for there in files.values():
        (root / there.lstrip("/")).touch()
    mount("--bind", str(root), str(root))
    mount("-o", "remount,bind,ro", str(root))
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", f"{root}/dev")
    for name in ("null", "random", "urandom"):
        (root / "dev" / name).touch()
        mount("--bind", f"/dev/{name}", f"{root}/dev/{name}")
    for folder in writable:
        mount("-t", "tmpfs", "-o", f"mode=0700,uid={user},gid={user}", "tmpfs", f"{root}/{folder.lstrip('/')}")
    for here, there in files.items():
        mount("--bind", "-o", "ro", here, f"{root}/{there.lstrip('/')}")


if __name__ == "__main__":
    main()
