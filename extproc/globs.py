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


def may_meet(one: str, other: str) -> bool:
    """Whether a name may fit both; False only where none can. Of two patterns the fixed ends alone are compared."""
    if "*" not in one:
        return re.fullmatch(regex(other), one, re.DOTALL) is not None
    if "*" not in other:
        return may_meet(other, one)
    heads = sorted((one.partition("*")[0], other.partition("*")[0]), key=len)
    tails = sorted((one.rpartition("*")[2], other.rpartition("*")[2]), key=len)
    return heads[1].startswith(heads[0]) and tails[1].endswith(tails[0])
