"""Usage and what it cost, as reports: the place of their routes, beside those of the things that they are about."""

from extproc.admin.routes import Routes


def add_routes(routes: Routes) -> None:
    """Their paths: none yet."""
