"""The configuration: what `gateway.yaml` may say (`model`), how it is read (`load`), and its JSON schema (`schema`)."""
