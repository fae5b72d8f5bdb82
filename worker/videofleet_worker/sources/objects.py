"""Objects in S3 and stores like it: an address that is good for a while is made here, without asking anybody.

    s3://BUCKET/KEY?region=eu-west-1&endpoint=https://minio.example:9000

The object is then read as a file of the web is. Whoever reads it has neither the keys nor what else they open.
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import obstore
from obstore.store import S3Store

from videofleet_api.codes import ErrorCode
from videofleet_api.source import BAD_REGION, REGION
from videofleet_worker.sources.errors import SourceError
from videofleet_worker.sources.request import SourceRequest

if TYPE_CHECKING:
    from obstore.store import S3Config

# An address is not needed after its source has been read; a run that takes longer goes on with its next epoch.
_GOOD_FOR: Final = timedelta(days=1)
_REGION: Final = "us-east-1"
_KNOWN: Final = ("endpoint", "region")


def web_address(request: SourceRequest) -> str:
    """The http or https URL of an object, signed where there are credentials. Raises SourceError."""
    parts = urlsplit(request.url)
    bucket, key = parts.netloc, unquote(parts.path.lstrip("/"))
    settings = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(settings.keys() - set(_KNOWN))
    if unknown or not bucket or not key:
        what = f"{unknown[0]} is not known: {' and '.join(_KNOWN)} are" if unknown else "write s3://BUCKET/KEY"
        raise SourceError(ErrorCode.BAD_PARAMETER, f"source.url: {what}")
    endpoint, region = settings.get("endpoint"), settings.get("region", _REGION)
    if endpoint is not None and not endpoint.startswith(("http://", "https://")):
        raise SourceError(ErrorCode.BAD_PARAMETER, "source.url: endpoint begins with http:// or https://")
    if not REGION.fullmatch(region):
        raise SourceError(ErrorCode.BAD_PARAMETER, f"source.url: region: {BAD_REGION}")
    if not request.username or not request.password:
        # Without keys obstore would look for some at the node's metadata service.
        return f"{endpoint or f'https://s3.{region}.amazonaws.com'}/{bucket}/{quote(key)}"
    config: S3Config = {
        "region": region,
        "access_key_id": request.username,
        "secret_access_key": request.password,
    }
    if endpoint is not None:
        config["endpoint"] = endpoint
    if request.session_token:
        config["session_token"] = request.session_token
    store = S3Store(bucket, config=config, client_options={"allow_http": True})
    return obstore.sign(store, "GET", key, _GOOD_FOR)
