"""No page has a barrier that axe-core knows of, light or dark."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from playwright.async_api import Page

from tests.support.programs import REPOSITORY
from tests.unit.gateway.v_world import WorkersLog
from tests.unit.gateway.web.conftest import Stage, sign_in
from tests.unit.gateway.web.test_page import RUNNING, _misconfigured, open_task, spec

pytestmark = pytest.mark.asyncio(loop_scope="session")

AXE = REPOSITORY / "tests/support/jsclients/node_modules/axe-core/axe.min.js"


async def barriers(page: Page) -> list[str]:
    """What axe-core finds: rule, and the elements that break it."""
    # By the debugger, past the page's own policy, which lets no such script in.
    await page.evaluate(AXE.read_text())
    found: dict[str, Any] = await page.evaluate("axe.run()")
    return [f"{one['id']}: {node['html']}" for one in found["violations"] for node in one["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_no_page_has_a_barrier(stage: Stage, scheme: Literal["light", "dark"]) -> None:
    running = stage.api.job("running", spec=spec("https://example.com/running.mp4"), status=RUNNING)
    over = stage.api.job("over", spec=spec("https://example.com/over.mp4"), status=RUNNING)
    stage.api.job("camera", spec=spec("rtsp://camera.example/1"), status=_misconfigured())
    found: dict[str, list[str]] = {}
    async with (
        stage.visit(color_scheme=scheme) as page,
        WorkersLog(stage, running) as log,
        WorkersLog(stage, over) as end,
    ):
        if scheme == "light":
            await end.frames(0, 1)
            await end.finish(2)
            await log.frames(0, 1)
        await page.goto("/ui/sign-in")
        found["sign in"] = await barriers(page)
        await page.get_by_label("API key").fill("wrong")
        await page.keyboard.press("Enter")
        await page.get_by_role("alert").wait_for()
        found["wrong key"] = await barriers(page)
        await sign_in(page)
        await page.get_by_role("row").nth(2).wait_for()
        found["tasks"] = await barriers(page)
        for name, last in (("running", "running"), ("over", "succeeded")):
            await open_task(page, f"https://example.com/{name}.mp4")
            await page.get_by_role("status").filter(has_text=last).wait_for()
            found[f"task {name}"] = await barriers(page)
        await page.goto("/ui/submit")
        found["submit"] = await barriers(page)
        await page.get_by_label("Address of the video").fill("ftp://x")
        await page.get_by_role("button", name="Submit").click()
        await page.get_by_role("alert").wait_for()
        found["refused"] = await barriers(page)
        await page.goto("/ui/streams")
        await page.get_by_role("listitem").filter(has_text="MISCONFIGURED").wait_for()
        found["streams"] = await barriers(page)
        await page.goto("/ui/streams/camera")
        await page.get_by_role("status").wait_for()
        found["stream"] = await barriers(page)
        await page.goto("/ui/nothing")
        found["not found"] = await barriers(page)
    assert {where: what for where, what in found.items() if what} == {}
