"""Counted requests have numbers of 64 bits: at thirty a second those of 32 are used up in little more than two years.
SQLite's have always had them, and begin again when the table is empty."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Widen the column, and what it is counted with."""
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE counted_requests ALTER COLUMN id TYPE BIGINT")
        op.execute("ALTER SEQUENCE counted_requests_id_seq AS BIGINT")


def downgrade() -> None:
    """Forget what was counted in the last minute: its numbers may be too large."""
    if op.get_context().dialect.name == "postgresql":
        op.execute("TRUNCATE counted_requests RESTART IDENTITY")
        op.execute("ALTER TABLE counted_requests ALTER COLUMN id TYPE INTEGER")
        op.execute("ALTER SEQUENCE counted_requests_id_seq AS INTEGER")
