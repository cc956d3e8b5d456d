"""Migrate Neutron's database on PostgreSQL: ``neutron_migrate.py CONFIG_FILE``.

It runs in the services' venv. One of Neutron's migrations is in MySQL's own words: it makes the
comparison of tags heed the case, which PostgreSQL does anyway. Those statements are left out.
"""

import sys
from typing import Any

from alembic.ddl import impl
from neutron.db.migration import cli

OF_MYSQL = "CHARACTER SET utf8mb4"
_execute = impl.DefaultImpl.execute


def execute(self: Any, sql: Any, *args: Any, **kwargs: Any) -> None:
    """Run a statement unless it is MySQL's own."""
    if OF_MYSQL not in str(sql):
        _execute(self, sql, *args, **kwargs)


if __name__ == "__main__":
    impl.DefaultImpl.execute = execute
    sys.argv[1:] = ["--config-file", sys.argv[1], "upgrade", "heads"]
    sys.exit(cli.main())
