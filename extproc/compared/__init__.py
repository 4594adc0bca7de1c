"""Two configurations side by side: what is written otherwise, what Envoy is told otherwise, and what becomes of requests under way."""
