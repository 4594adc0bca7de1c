"""The fault suite: a whole gateway under load, and one thing after another that breaks. `python -m bench.faults --help`."""
