"""Amounts as Kubernetes has them, such as `250m` and `512Mi`.

https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
"""

import re
from decimal import Decimal

_DECIMAL = {"": 0, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def amount(text: str) -> Decimal:
    """How much it is. `text`: has the form of `settings.QUANTITY`."""
    found = re.fullmatch(r"([0-9.]+)(?:[eE]([0-9]+)|([a-zA-Z]*))", text)
    assert found is not None
    number, exponent, unit = Decimal(found[1]), found[2], found[3] or ""
    if unit in _BINARY:
        return number * (1 << _BINARY[unit])
    return number.scaleb(int(exponent) if exponent is not None else _DECIMAL[unit])
