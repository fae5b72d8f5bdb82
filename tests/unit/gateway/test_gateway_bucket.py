"""A gateway whose archive is a bucket."""

from pathlib import Path

import pytest

from tests.support.archives import frames_of
from tests.support.buckets import BUCKET, archive_at, bucket_server, credentials
from tests.support.gateway import JobApi, served_over
from tests.support.v_tasks import running_task


@pytest.mark.acceptance("V20", "V72")
async def test_a_stream_out_of_a_bucket(api: JobApi, tmp_path: Path) -> None:
    with bucket_server() as server:
        secret = tmp_path / "credentials"
        store = archive_at(server, secret, prefix="site")
        settings = {"archive_endpoint": server.url, "archive_credentials": credentials(secret)}
        async with (
            served_over(api, tmp_path, archive=f"s3://{BUCKET}/site", **settings) as gateway,
            running_task(api, gateway, store) as task,
        ):
            await task.frames(*range(5))
            await task.finish(5)
            whole = await task.whole()
            assert frames_of(whole) == list(range(5))
            assert whole[:700] + await task.whole("?offset=700") == whole
