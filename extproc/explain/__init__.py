"""What would become of a request: the engine's own code, run on one request, with nobody behind it, and what it did told for people."""
