"""The page in a browser: what people see of their tasks and streams, and do with them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.support.gateway import KEY, NAMESPACE, OTHER_KEY, OTHER_NAMESPACE, VIDEOJOBS
from tests.unit.gateway.v_world import WorkersLog, until
from tests.unit.gateway.web.conftest import Stage, sign_in
from videofleet_gateway.jobs.naming import id_annotation, job_name
from videofleet_kube.resources import Json

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLIP = "https://example.com/clip.mp4"


def spec(url: str = CLIP) -> Json:
    return {
        "source": {"url": url},
        "singlePass": True,
        "analytics": [{"name": "main", "steps": [{"model": "detect"}, {"model": "track"}]}],
    }


RUNNING = {"phase": "INPROGRESS", "run": 1, "epoch": 1, "firstFrameTime": "2026-01-01T00:00:00Z"}


@pytest.fixture(scope="module")
def more_settings() -> dict[str, str]:
    """Videos are taken in, for workers that find the gateway there."""
    return {"staging_url": "http://gateway.test:8080", "max_upload_bytes": "65536"}


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def empty(stage: Stage) -> AsyncIterator[None]:
    """Each test has the world to itself."""
    yield
    for job in stage.api.jobs() + stage.api.jobs(OTHER_NAMESPACE):
        stage.api.remove(VIDEOJOBS, job["metadata"]["namespace"], job["metadata"]["name"])


async def open_task(page: Page, url: str = CLIP) -> None:
    """The page of the task with this video."""
    await page.goto("/ui/tasks")
    await page.get_by_role("row").filter(has_text=url).get_by_role("link").click()
    await page.get_by_role("heading", name="Video task", exact=True).wait_for()


async def test_a_wrong_key_is_told_and_a_right_one_leads_where_one_wanted_to_go(stage: Stage) -> None:
    async with stage.visit() as page:
        await page.goto("/ui/streams?after=a")
        await page.get_by_label("API key of your project").fill("vf_wrong")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_have_text("the API key is unknown or was revoked")
        await page.get_by_label("API key of your project").fill(KEY)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{stage.origin}/ui/streams?after=a")


async def test_the_browser_keeps_a_cookie_that_is_no_key_and_that_no_script_sees(stage: Stage) -> None:
    async with stage.visit() as page:
        await sign_in(page)
        (cookie,) = await page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
        assert KEY not in cookie["value"]
        assert await page.evaluate("document.cookie") == ""
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("heading", name="Sign in").wait_for()
        assert await page.context.cookies() == []
        await page.goto("/ui/tasks")
        await page.get_by_role("heading", name="Sign in").wait_for()


@pytest.mark.acceptance("V4")
async def test_tasks_come_and_change_without_a_reload_and_are_those_of_the_project(stage: Stage, page: Page) -> None:
    await expect(page.get_by_text("There are no tasks here.")).to_be_visible()
    stage.api.job("theirs", OTHER_NAMESPACE, spec=spec("https://example.com/theirs.mp4"))
    job = stage.api.job("ours", spec=spec())
    row = page.get_by_role("row").filter(has_text=CLIP)
    await expect(row).to_contain_text("pending")
    stage.api.tell(job, **RUNNING)
    await expect(row).to_contain_text("running")
    await expect(page.get_by_role("row")).to_have_count(2)
    async with stage.visit() as other:
        await sign_in(other, OTHER_KEY)
        await expect(other.get_by_role("row").nth(1)).to_contain_text("theirs.mp4")
        await expect(other.get_by_role("row")).to_have_count(2)


async def test_what_has_the_focus_keeps_it_when_a_newer_task_comes(stage: Stage, page: Page) -> None:
    stage.api.job("first", spec=spec())
    link = page.get_by_role("row").filter(has_text=CLIP).get_by_role("link")
    await link.focus()
    stage.api.job(
        "second", spec=spec("https://example.com/newer.mp4"), metadata={"creationTimestamp": "2050-01-01T00:00:00Z"}
    )
    await expect(page.get_by_role("row").nth(1)).to_contain_text("newer.mp4")
    await expect(link).to_be_focused()


async def test_there_is_a_way_to_older_tasks(stage: Stage, page: Page) -> None:
    for number in range(21):
        stage.api.job(
            f"clip-{number}", spec=spec(f"https://example.com/{number}.mp4"),
            metadata={"creationTimestamp": f"2026-01-01T00:00:{number:02d}Z"},
        )  # fmt: skip
    await expect(page.get_by_role("row")).to_have_count(21)
    await page.get_by_role("link", name="Older tasks").click()
    await expect(page.get_by_role("row").nth(1)).to_contain_text("https://example.com/0.mp4")
    await expect(page.get_by_role("row")).to_have_count(2)
    await expect(page.get_by_role("link", name="Older tasks")).to_be_hidden()


@pytest.mark.acceptance("V4")
async def test_a_clip_is_submitted_by_its_address(stage: Stage, page: Page) -> None:
    await page.get_by_role("navigation").get_by_role("link", name="Submit a clip").click()
    await page.get_by_label("Address of the video").fill(CLIP)
    await page.get_by_label("feature: what an object looks like").check()
    await page.get_by_label("Only these classes").fill("person, car")
    await page.get_by_label("Frames a second").fill("2.5")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("status")).to_contain_text("pending")
    (job,) = stage.api.jobs()
    assert job["spec"]["source"] == {"url": CLIP}
    assert job["spec"]["sampling"] == {"mode": "fps", "value": 2.5}
    assert job["spec"]["maxFrames"] == 3000
    steps = job["spec"]["analytics"][0]["steps"]
    assert [step["model"] for step in steps] == ["detect", "track", "feature"]
    assert steps[0]["parameters"] == {"classes": ["person", "car"]}


@pytest.mark.acceptance("V4", "V26")
async def test_a_clip_is_submitted_as_a_file(stage: Stage, page: Page) -> None:
    video = bytes(range(256)) * 100
    await page.goto("/ui/submit")
    file = {"name": "clip.mp4", "mimeType": "video/mp4", "buffer": video}
    await page.get_by_label("Or a file from here").set_input_files(file)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("status")).to_contain_text("pending")
    (job,) = stage.api.jobs()
    assert list(job["spec"]["source"]) == ["urlSecretRef"]
    (stored,) = (path for path in (stage.archive / ".inputs").rglob("*") if path.is_file())
    assert stored.read_bytes() == video


async def test_a_file_that_is_too_large_and_two_videos_at_once_are_refused(stage: Stage, page: Page) -> None:
    await page.goto("/ui/submit")
    await page.get_by_label("Address of the video").fill(CLIP)
    file = {"name": "clip.mp4", "mimeType": "video/mp4", "buffer": b"x" * 100_000}
    await page.get_by_label("Or a file from here").set_input_files(file)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("alert")).to_contain_text("one of the two")
    await page.get_by_label("Address of the video").fill("")
    await page.get_by_label("Or a file from here").set_input_files(file)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("alert")).to_contain_text("the video is larger than 65536 bytes")
    assert stage.api.jobs() == []


@pytest.mark.parametrize(
    ("label", "value", "told"),
    [
        ("Address of the video", "ftp://example.com/a", "the address must begin with http:// or https://"),
        ("Address of the video", "https://169.254.169.254/a", "must not be reached"),
        ("Address of the video", "https://metadata.google.internal/a", "must not be reached"),
        ("Frames a second", "often", "Input should be a valid number"),
        ("Frames that are analysed at most", "0", "greater than or equal to 1"),
    ],
)
async def test_a_refusal_says_what_would_be_right_and_keeps_what_was_given(
    stage: Stage, page: Page, label: str, value: str, told: str
) -> None:
    await page.goto("/ui/submit")
    await page.get_by_label("Address of the video").fill(CLIP)
    await page.get_by_label("ocr").check()
    await page.get_by_label(label).fill(value)
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_role("alert")).to_contain_text(told)
    field = page.get_by_label(label)
    await expect(field).to_have_value(value)
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_be_focused()
    await expect(page.get_by_label("ocr")).to_be_checked()
    assert stage.api.jobs() == []


@pytest.mark.acceptance("V4", "V103")
async def test_results_stream_in_and_end_with_the_objects(stage: Stage, page: Page) -> None:
    job = stage.api.job("clip", spec=spec(), status=RUNNING)
    async with WorkersLog(stage, job) as log:
        await open_task(page)
        await log.frames(0, 1)
        frames = page.get_by_role("region", name="Results as they come").get_by_role("row")
        await expect(frames).to_have_count(3)
        await log.frames(*range(2, 30))
        await expect(frames.nth(1).get_by_role("cell").first).to_have_text("29")
        await expect(frames).to_have_count(21)
        await expect(page.get_by_role("status")).to_contain_text("running")
        await log.finish(30)
        await expect(page.get_by_role("status")).to_contain_text("succeeded")
        objects = page.get_by_role("region", name="List of objects").get_by_role("row")
        await expect(objects).to_have_count(2)
        await expect(objects.nth(1).get_by_role("cell").first).to_have_text("1")
        assert await _events(page) == [*range(30), "stop", "[DONE]"]


async def test_a_page_whose_gateway_is_away_says_so_and_goes_on_where_the_reader_was(stage: Stage, page: Page) -> None:
    job = stage.api.job("clip", spec=spec(), status=RUNNING)
    lost = page.get_by_role("alert").filter(has_text="Connection lost")
    newest = page.get_by_role("region", name="Results as they come").get_by_role("row").nth(1).get_by_role("cell").first
    await page.set_viewport_size({"width": 800, "height": 400})
    async with WorkersLog(stage, job) as log:
        await log.frames(*range(30))
        await open_task(page)
        await expect(newest).to_have_text("29")
        await page.get_by_role("link", name="All of them, as server-sent events").focus()
        await page.evaluate("scrollTo(0, 500); document.title = 'The same page'")

        await page.context.set_offline(True)
        await expect(lost).to_be_visible()
        await page.context.set_offline(False)
        await expect(lost).to_be_hidden()
        await log.frames(30)
        await expect(newest).to_have_text("30")
        assert await page.title() == "The same page"

        # What it kept of the page is gone with the process.
        await stage.gateway.stop()
        await expect(lost).to_be_visible()
        await expect(newest).to_have_text("30")
        await stage.gateway.start()
        await log.frames(31)
        await expect(newest).to_have_text("31")
        await expect(lost).to_be_hidden()
        await expect(page.get_by_role("link", name="All of them, as server-sent events")).to_be_focused()
        await until(lambda: _is_scrolled(page, 500), "the reader is where they were")


async def _is_scrolled(page: Page, to: int) -> bool:
    return bool(await page.evaluate("scrollY") == to)


async def _events(page: Page) -> list[Any]:
    """What the browser's own EventSource gets of the task's stream: it has no header but the cookie."""
    link = await page.get_by_role("link", name="All of them, as server-sent events").get_attribute("href")
    return list(
        await page.evaluate(
            """(url) => new Promise((resolve, reject) => {
                const seen = [], source = new EventSource(url);
                source.onerror = () => reject(new Error("refused"));
                source.onmessage = (event) => {
                    const one = event.data === "[DONE]" ? event.data : JSON.parse(event.data);
                    seen.push(one === "[DONE]" ? one : one.finish_reason ?? one.stream_info.frame_index);
                    if (one === "[DONE]") { source.close(); resolve(seen); }
                };
            })""",
            link,
        )
    )


async def test_a_task_that_failed_says_why(stage: Stage, page: Page) -> None:
    job = stage.api.job("clip", spec=spec(), status=RUNNING)
    async with WorkersLog(stage, job) as log:
        await log.frames(0)
        await log.finish(1, "error")
    error = {
        "code": "SOURCE_NOT_FOUND",
        "message": "https://u:hidden@example.com is away",
        "time": "2026-01-01T00:00:00Z",
    }
    stage.api.tell(job, **RUNNING, lastError=error)
    await open_task(page)
    await expect(page.get_by_role("status")).to_contain_text("failed")
    await expect(page.get_by_role("main")).to_contain_text("SOURCE_NOT_FOUND")
    await expect(page.get_by_role("main")).not_to_contain_text("hidden")
    await expect(page.get_by_role("button", name="Cancel this task")).to_be_hidden()


async def test_a_task_is_cancelled(stage: Stage, page: Page) -> None:
    stage.api.job("clip", spec=spec(), status=RUNNING)
    await open_task(page)
    await page.get_by_role("button", name="Cancel this task").click()
    await expect(page.get_by_role("status")).to_contain_text("cancel")
    await expect(page.get_by_role("button", name="Cancel this task")).to_be_hidden()
    (job,) = stage.api.jobs()
    assert job["spec"]["enabled"] is False


async def test_streams_show_their_phases_reasons_and_history(stage: Stage, page: Page) -> None:
    job = stage.api.job("camera-1", spec={**spec("rtsp://camera.example/1"), "singlePass": False})
    stage.api.job("camera-2", spec={**spec("rtsp://camera.example/2"), "singlePass": False})
    stage.api.job("theirs", OTHER_NAMESPACE, spec=spec())
    await page.get_by_role("link", name="Streams").click()
    cards = page.get_by_role("list", name="Streams").get_by_role("listitem")
    await expect(cards).to_have_count(2)
    await expect(cards.first).to_contain_text("AWAITING")
    stage.api.tell(job, **_misconfigured())
    await expect(cards.first).to_contain_text("MISCONFIGURED")
    await expect(cards.first).to_contain_text("the camera refuses the password")
    await page.get_by_role("link", name="camera-1").click()
    await expect(page.get_by_role("status")).to_contain_text("MISCONFIGURED")
    await expect(page.get_by_role("main")).to_contain_text("SOURCE_UNAUTHORIZED")
    await expect(page.get_by_role("region", name="Conditions")).to_contain_text("Stalled")
    changes = page.get_by_role("region", name="History").get_by_role("row")
    await expect(changes.nth(1)).to_contain_text("STARTING")
    await expect(page.get_by_role("button", name="Watch live")).to_be_hidden()
    stage.api.tell(job, phase="AWAITING", reason="RETRY", message="tried again soon")
    await expect(page.get_by_role("status")).to_contain_text("AWAITING")
    await expect(page.get_by_role("main")).to_contain_text("tried again soon")


async def test_streams_have_the_names_that_their_makers_know(stage: Stage, page: Page) -> None:
    identifier = "entrance north/" + "1" * 60
    name = job_name("f", identifier)
    camera = {**spec("rtsp://camera.example/1"), "singlePass": False}
    stage.api.put(VIDEOJOBS, NAMESPACE, name, spec=camera, metadata={"annotations": {id_annotation("f"): identifier}})
    await page.get_by_role("link", name="Streams").click()
    card = page.get_by_role("list", name="Streams").get_by_role("listitem")
    await expect(card.get_by_role("link")).to_have_text(identifier)
    assert await card.evaluate("card => card.scrollWidth <= card.clientWidth"), "a long one stays within its card"
    await card.get_by_role("link").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Stream {identifier}")
    await expect(page.get_by_role("main")).to_contain_text(name)


def _misconfigured() -> dict[str, Any]:
    time = "2026-01-01T00:00:00Z"
    why = {"reason": "SOURCE_UNAUTHORIZED", "message": "the camera refuses the password"}
    return {
        "phase": "MISCONFIGURED", "since": time, **why, "attempt": 2,
        "history": [{"sequence": 1, "time": time, "from": "STARTING", "to": "MISCONFIGURED", **why}],
        "conditions": [{"type": "Stalled", "status": "True", "lastTransitionTime": time, **why}],
    }  # fmt: skip


async def test_what_is_not_there_is_told(page: Page) -> None:
    for path in ("/ui/streams/nobody", "/ui/tasks/vt_00000000000000000000000000", "/ui/nothing"):
        answer = await page.goto(path)
        assert answer is not None
        assert answer.status == 404
        await expect(page.get_by_role("heading", name="Not found")).to_be_visible()


async def test_all_of_it_goes_by_keyboard_alone(stage: Stage) -> None:
    async with stage.visit() as page:
        await page.goto("/ui")
        await expect(page.get_by_label("API key of your project")).to_be_focused()
        await page.keyboard.type(KEY)
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Video tasks").wait_for()
        await _tab_to(page, "Submit a clip")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Submit a clip").wait_for()
        await _tab_to(page, "url")
        await page.keyboard.type(CLIP)
        await _tab_to(page, "face")
        await page.keyboard.press("Space")
        await _tab_to(page, "Submit")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Video task", exact=True).wait_for()
        (job,) = stage.api.jobs()
        assert [step["model"] for step in job["spec"]["analytics"][0]["steps"]] == ["detect", "face", "track"]
        await _tab_to(page, "Cancel this task")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("status")).to_contain_text("cancel")
        await _tab_to(page, "Streams")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Streams").wait_for()
        await _tab_to(page, job["metadata"]["annotations"][id_annotation("v")])
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name=re.compile("^Stream ")).wait_for()
        await _tab_to(page, "Sign out")
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Sign in").wait_for()


async def _tab_to(page: Page, what: str) -> None:
    """Press Tab until the element with this text, name or value has the focus, which is then seen."""
    for _ in range(40):
        await page.keyboard.press("Tab")
        names, outline = await page.evaluate(
            """() => { const one = document.activeElement;
                return [[one.textContent, one.name, one.value], getComputedStyle(one).outlineStyle]; }"""
        )
        if what in names:
            assert outline != "none", f"nothing shows that {what!r} has the focus"
            return
    raise AssertionError(f"{what!r} is out of reach of the keyboard")
