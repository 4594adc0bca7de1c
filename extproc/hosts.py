"""Names and addresses of this machine."""

import ipaddress


def is_loopback_name(host: str) -> bool:
    """Whether a host name or address, as a URL has it, means this machine."""
    host = host.strip("[]").lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
