"""Who may ask V, and how often."""

from starlette.requests import Request

from videofleet_gateway import auth
from videofleet_gateway.context import Context
from videofleet_gateway.store.keys import Project
from videofleet_gateway.tasks.tasks import DIALECT


class Admission:
    """By keys, and limits of each project over all replicas."""

    def __init__(self, context: Context) -> None:
        self._keys = context.keys
        self._windows = context.windows
        self._limit = context.config.v_requests_per_minute

    async def project(self, request: Request) -> Project:
        """Who asks. Raises GatewayError, UNAUTHENTICATED."""
        return await auth.project_of(self._keys, auth.bearer(request.headers))

    async def writer(self, request: Request, what: str = "") -> Project:
        """Who asks for work to be done, and may. Raises GatewayError."""
        project = await self.counted(request, what)
        auth.check_may_write(project)
        return project

    async def counted(self, request: Request, what: str = "") -> Project:
        """Who asks, and not too often. Each `what` has a limit of its own. Raises GatewayError."""
        project = await self.project(request)
        subject = f"{DIALECT}-{what}" if what else DIALECT
        await self._windows.check(f"{subject}/{project.id}", self._limit)
        return project
