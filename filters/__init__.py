"""The filters, one a file. A name in the configuration's `filters` is a module here; its settings are the one `Filter` that it defines."""
