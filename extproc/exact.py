"""Arithmetic of money: decimals that are never rounded."""

from decimal import Context, Inexact

EXACT = Context(prec=2000, traps=[Inexact])
"""It raises rather than lose a digit, and no sum of prices comes near its width."""
