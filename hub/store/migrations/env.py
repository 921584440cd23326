"""Alembic's entry: runs on the engine that `hub.store.database` hands over."""

from alembic import context

from hub.store.tables import metadata

engine = context.config.attributes["engine"]
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
