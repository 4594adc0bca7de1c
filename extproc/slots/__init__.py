"""Slots: how many requests may be under way at once, for a tenant, at a target, at a provider; who waits for one, and for how long."""
