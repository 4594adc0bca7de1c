"""A fleet of Envoys that are told their configuration by xDS: what each is to have, and how it gets there."""
