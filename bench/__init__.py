"""The benchmark: Headgate, its floor (bare Envoy) and its peers, on one mock provider, in turns. `python -m bench --help`."""
