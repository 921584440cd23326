"""The index of names is of names in lower case: whoever accepts accounts asks for those that differ only in case.

Each page of accounts, also one with a single edited account, read every account for that.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_entity_name", table_name="entity")
    op.create_index("ix_entity_name", "entity", ["kind", sa.text("lower(name)")], unique=False)


def downgrade() -> None:
    op.drop_index("ix_entity_name", table_name="entity")
    op.create_index("ix_entity_name", "entity", ["kind", "name"], unique=False)
