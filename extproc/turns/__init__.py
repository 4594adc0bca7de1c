"""Turns of conversations that providers do not remember, kept for clients of the Responses API."""
