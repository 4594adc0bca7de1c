"""Limits and budgets: who may use how much of what, in which window of time. What is wanted is reserved, what was used is settled."""
