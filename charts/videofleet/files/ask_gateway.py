"""Ask the gateway without a key, as somebody does who has just found its address: it refuses, in the API's own words.

Run by `helm test`. Exit code 0: it answered as it should.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

ADDRESS = os.environ["GATEWAY_ADDRESS"]
PATIENCE = 60.0


def answer(url: str) -> tuple[int, bytes]:
    """Status and body; OSError where nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def verdict(status: int, body: bytes) -> str | None:
    """What is wrong with the answer to a request without a key."""
    try:
        error = json.loads(body)["error"]
        told = error["code"], error["message"]
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {status} with a body that is not {{error: {{code, message}}}}"
    return None if status == 401 else f"HTTP status {status}, {': '.join(told)}, and not 401"


def main() -> int:
    url = f"{ADDRESS}/v1/video/tasks"
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            wrong = verdict(*answer(url))
            break
        except OSError as error:
            if time.monotonic() > deadline:
                wrong = f"nobody answers: {error}"
                break
            time.sleep(1)
    print(f"{url}: {wrong or 'the gateway answers, and wants a key'}")
    return int(wrong is not None)


if __name__ == "__main__":
    sys.exit(main())
