"""Alembic's entry: runs on the engine that `hub.store.database` hands over."""

from alembic import context
from sqlalchemy import text

from hub.store.tables import metadata

engine = context.config.attributes["engine"]
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        # Two that start at once: the second one waits, and then finds nothing to do.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('orderhub migrations'))"))
        context.run_migrations()
