"""Where a gateway's sockets are: inside its state folder, or, where that path is too long, in the system's folder for such things."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

# sun_path has 108 bytes with the final zero; the longest name in the folder has about 30.
_LONGEST = 70


# Names that somebody else may have taken before we give up.
_TRIES = 100


def sockets_folder(state: Path) -> Path:
    """The folder, the same for the same state folder, so that what a killed gateway left is used again. It exists if it lies outside.

    Raises `FileExistsError` where somebody keeps us from having one.
    """
    inside = state / "run"
    if len(os.fsencode(inside)) <= _LONGEST:
        return inside
    name = f"headgate-{hashlib.sha256(os.fsencode(state)).hexdigest()[:16]}"
    parent = Path(tempfile.gettempdir())
    # A folder of one's own for temporary files may lie as deep as any other; what is in the common one is checked below.
    if len(os.fsencode(parent / name)) > _LONGEST:
        parent = Path("/tmp")  # noqa: S108 - see above
    # The names can be guessed. One that somebody else was first to take is passed over, by everybody who looks.
    for number in range(_TRIES):
        folder = parent / (f"{name}-{number}" if number else name)
        if _is_ours(folder):
            return folder
    raise FileExistsError(f"{parent}/{name} and {_TRIES - 1} more are somebody else's; give the gateway a shorter --state")


def fleet_socket(state: Path) -> Path:
    """Where the control plane of a fleet answers on its own machine."""
    return sockets_folder(state) / "fleet.sock"


def _is_ours(folder: Path) -> bool:
    """Whether it is a folder of ours alone. Made where there is nothing."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return True
