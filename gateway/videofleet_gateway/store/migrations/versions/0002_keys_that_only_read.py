"""Keys that are for reading only. Those from before may do what they could."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let a key say so."""
    op.add_column("api_keys", sa.Column("read_only", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Take such keys out of use: without the column they would be as good as any."""
    op.execute("DELETE FROM api_keys WHERE read_only")
    with op.batch_alter_table("api_keys") as table:
        table.drop_column("read_only")
