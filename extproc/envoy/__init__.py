"""What Envoy is told: names shared with the workers, and the compiler from `gateway.yaml` to Envoy's configuration."""
