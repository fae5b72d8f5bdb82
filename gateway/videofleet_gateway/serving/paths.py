"""Two applications on one port."""

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class Branch:
    """What is at a path and below it goes to `below`, everything else to `rest`."""

    path: str
    below: ASGIApp
    rest: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        if path == self.path or path.startswith(f"{self.path}/"):
            await self.below({**scope, "root_path": scope.get("root_path", "") + self.path}, receive, send)
        else:
            await self.rest(scope, receive, send)
