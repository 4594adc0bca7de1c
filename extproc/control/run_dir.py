"""Where a gateway's sockets are: inside its state folder, or, where that path is too long, in the system's folder for such things."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

# sun_path has 108 bytes with the final zero; the longest name in the folder has about 30.
_LONGEST = 70


def sockets_folder(state: Path) -> Path:
    """The folder, the same for the same state folder, so that what a killed gateway left is used again. It exists if it lies outside."""
    inside = state / "run"
    if len(os.fsencode(inside)) <= _LONGEST:
        return inside
    name = hashlib.sha256(os.fsencode(state)).hexdigest()[:16]
    outside = Path(tempfile.gettempdir()) / f"headgate-{name}"
    if len(os.fsencode(outside)) > _LONGEST:
        # A folder of one's own for temporary files may lie as deep as any other.
        outside = Path("/tmp") / outside.name  # noqa: S108 - what is there is checked below
    try:
        outside.mkdir(mode=0o700)
    except FileExistsError:
        found = outside.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            # Somebody else was there first: the name can be guessed, and the folder not be trusted.
            return Path(tempfile.mkdtemp(prefix="headgate-", dir=outside.parent))
    return outside
