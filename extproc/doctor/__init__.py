"""What is wrong, for us, with an Envoy that somebody runs: read from its admin port, and never changed there."""
