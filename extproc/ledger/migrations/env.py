"""What Alembic runs: the migrations, on the connection and in the transaction of whoever asks (`versions.Versions.migrate`)."""

from alembic import context

# Identities may be in the same database, and have a table of their own for this.
context.configure(connection=context.config.attributes["connection"], version_table="ledger_alembic_version")
context.run_migrations()
