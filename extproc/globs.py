"""Patterns in which `*` stands for anything, as regular expressions that take no time beyond reason, whatever they are compared with."""

import re


def regex(glob: str) -> str:
    """`glob` as a regular expression for `fullmatch`, with `re.DOTALL`."""
    head, *rest = glob.split("*")
    if not rest:
        return re.escape(head)
    *inner, tail = rest
    # What was passed over for a fixed part is not tried again (atomic groups): that would change nothing, and take for ever.
    return re.escape(head) + "".join(f"(?>.*?{re.escape(part)})" for part in inner) + ".*" + re.escape(tail)
