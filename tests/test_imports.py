"""What a worker imports: little, so that it starts at once and stays small. Prices, keys and configuration reach it compiled."""

import subprocess
import sys

HEAVY = (
    "aiohttp",
    "alembic",
    "betterproto2",
    "cryptography",
    "envoy_data_plane",
    "fastapi",
    "genai_prices",
    "grpc",
    "httpx",
    "prometheus_client",
    "psycopg",
    "pydantic",
    "redis",
    "requests",
    "sqlalchemy",
    "sqlite3",
    "yaml",
)

_PROGRAM = """
import sys
import extproc.worker
import extproc.limits.estimate, extproc.limits.leased, extproc.limits.remote, extproc.limits.shared
import filters.auth, filters.cache, filters.headers, filters.meter, filters.route
print(*(name for name in sys.argv[1:] if name in sys.modules))
"""


def test_a_worker_imports_little() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM, *HEAVY], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
