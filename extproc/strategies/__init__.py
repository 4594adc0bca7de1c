"""In which order targets are tried: one strategy a file, found by its name (`config/lookup.py`)."""
