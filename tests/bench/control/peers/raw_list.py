"""The least that a start can cost: a paged LIST of a namespace's VideoJobs, parsed. Prints a line in the end."""

import asyncio
import os
import ssl
import sys
from pathlib import Path
from typing import Any

import aiohttp
import orjson

PAGE = 500


async def main(kubeconfig: str, namespace: str) -> None:
    """List everything."""
    config = orjson.loads(await asyncio.to_thread(Path(kubeconfig).read_bytes))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    context = ssl.create_default_context(cafile=cluster["certificate-authority"])
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.load_cert_chain(user["client-certificate"], user["client-key"])
    items: list[Any] = []
    path = f"{cluster['server']}/apis/videofleet.io/v1alpha1/namespaces/{namespace}/videojobs"
    async with aiohttp.ClientSession() as http:
        token: str | None = ""
        while token is not None:
            query = {"limit": str(PAGE), "continue": token}
            async with http.get(path, params=query, ssl=context) as answer:
                page = orjson.loads(await answer.read())
            items += page["items"]
            token = page["metadata"].get("continue") or None
    print("listed", len(items), flush=True)


if __name__ == "__main__":
    asyncio.run(main(os.environ["KUBECONFIG"], sys.argv[1]))
