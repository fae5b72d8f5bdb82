"""The licence: found, verified, and its use told in the status of the VideoLicense."""

import base64
import binascii
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from videofleet_api import licence_file
from videofleet_api.codes import Reason
from videofleet_api.environment import ConfigError
from videofleet_api.licence_file import Standing, Validity
from videofleet_api.videolicense import LicenseDocument
from videofleet_kube.operations import Outcome, Patch
from videofleet_kube.resources import ObjectRef
from videofleet_kube.writes import WriteQueue
from videofleet_operator.config import Config
from videofleet_operator.domain import licence as rules
from videofleet_operator.domain.conditions import licence_conditions
from videofleet_operator.domain.model import Licence, Why
from videofleet_operator.domain.times import format_time, parse_time
from videofleet_operator.metrics import Metrics
from videofleet_operator.services.caches import VIDEOLICENSES, Caches
from videofleet_operator.services.objects import LicenseObject, known_conditions
from videofleet_operator.services.secrets import SecretKey, SecretStore

log = logging.getLogger(__name__)


class LicenceKeeper:
    """Knows what the licence allows now, and writes how much of it is used."""

    def __init__(
        self,
        config: Config,
        caches: Caches,
        secrets: SecretStore,
        queue: WriteQueue,
        metrics: Metrics,
        renewed_at: Callable[[], str],
    ) -> None:
        """`renewed_at`: the renewTime of the operator's Lease, which never goes back; empty before it was read."""
        self._required = config.licence_required
        self._namespace = config.namespace
        self._serves_all = not config.namespaces
        self._keys = load_keys(config.licence_public_keys)
        self._caches = caches
        self._secrets = secrets
        self._queue = queue
        self._metrics = metrics
        self._renewed_at = renewed_at
        self._writing = False
        self._allowed_shown = False
        self._verified: tuple[str, LicenseDocument | Standing] | None = None
        self._wrong: Why | None = None

    def current(self, now: float) -> Licence:
        """What may run."""
        source = self._source()
        if source is None:
            if not self._required:
                return Licence()
            return Licence(problem=Why(Reason.LICENCE_INVALID, "there is no VideoLicense named default: apply one"))
        licence = rules.state(self._document(source), now, self._high_water())
        self._wrong = licence.problem
        return licence

    def secret_keys(self) -> dict[SecretKey, bool]:
        """The Secret that holds the licence, where there is one, and whether a better one is waited for."""
        source = self._source()
        if source is None or source.spec is None:
            return {}
        unusable = self._wrong is not None
        return {(source.spec.secret_ref.namespace, source.spec.secret_ref.name): unusable}

    def reconcile(self, licence: Licence, used: int, now: float) -> None:
        """Write the VideoLicense's status where it differs and is this operator's to write. `used`: its slots."""
        self._measure(licence.limit, used)
        source = self._source()
        if source is None or self._writing or not self._writes(source):
            return
        meta = source.meta
        desired = self._status(source, used, now)
        target = ObjectRef(VIDEOLICENSES, None, meta.name, meta.uid, meta.resource_version)
        self._writing = True
        patch = Patch(target, {"status": source.status}, {"status": desired}, "status")
        self._queue.submit(patch, on_done=self._written)

    def next_change(self, now: float) -> float | None:
        """When the licence will allow something else by itself; None: never."""
        source = self._source()
        return None if source is None else rules.next_change(self._document(source), now)

    def _high_water(self) -> float | None:
        try:
            return parse_time(self._renewed_at())
        except ValueError:
            return None

    def _writes(self, source: LicenseObject) -> bool:
        """Whether the status is this operator's to write.

        A cluster has one VideoLicense and may have several operators, each with its own count of streams: were all of
        them to write, none would ever be done.
        """
        holds_secret = source.spec is not None and source.spec.secret_ref.namespace == self._namespace
        return self._serves_all or holds_secret

    def _measure(self, allowed: int | None, used: int) -> None:
        streams = self._metrics.licence_streams
        streams.labels("used").set(used)
        if allowed is not None:
            streams.labels("allowed").set(allowed)
        elif self._allowed_shown:
            streams.remove("allowed")
        self._allowed_shown = allowed is not None

    def _written(self, outcome: Outcome) -> None:
        self._writing = False
        if outcome.object is not None:
            self._caches.licenses.feed(outcome.object)

    def _source(self) -> LicenseObject | None:
        return next(iter(self._caches.licenses.cache.values()), None)

    def _document(self, source: LicenseObject) -> LicenseDocument | Standing:
        if source.spec is None:
            return Standing(Validity.MISSING, "spec.secretRef of the VideoLicense cannot be read")
        ref = source.spec.secret_ref
        data = self._secrets.read(ref.namespace, ref.name)
        where = f"Secret {ref.namespace}/{ref.name}"
        if data is None:
            return Standing(Validity.MISSING, f"{where} is not there or not readable: create it")
        if ref.key not in data:
            return Standing(Validity.MISSING, f"{where} has no key {ref.key}: add it")
        encoded = data[ref.key]
        if self._verified is None or self._verified[0] != encoded:
            self._verified = (encoded, self._verify(encoded))
        return self._verified[1]

    def _verify(self, encoded: str) -> LicenseDocument | Standing:
        try:
            signed = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            return Standing(Validity.BAD_SIGNATURE, "the Secret's value is not base64")
        return rules.verify(signed, self._keys)

    def _status(self, source: LicenseObject, used: int, now: float) -> dict[str, Any]:
        document = self._document(source)
        found = rules.standing(document, now, self._high_water())
        conditions = licence_conditions(
            found.usable,
            found.validity.value,
            found.message,
            source.meta.generation,
            known_conditions(source.status),
            now,
        )
        return {
            "observedGeneration": source.meta.generation,
            "usedStreams": used,
            "conditions": [each.wire() for each in conditions],
            **({} if isinstance(document, Standing) else _told(document)),
        }


def _told(document: LicenseDocument) -> dict[str, Any]:
    """What a licence says, for the status."""
    said = document.wire()
    told = {name: said[name] for name in ("licensee", "maxStreams", "countRecorded", "notBefore", "expires")}
    if document.features:
        told["features"] = said["features"]
    if document.grace_days:
        told["graceEnds"] = format_time(licence_file.grace_ends(document))
    return told


def load_keys(folder: Path | None) -> tuple[Ed25519PublicKey, ...]:
    """The public keys in a folder of PEM files. Raises ConfigError for one that cannot be used."""
    if folder is None or not folder.is_dir():
        return ()
    keys: list[Ed25519PublicKey] = []
    for path in sorted(folder.glob("*.pem")):
        try:
            keys.extend(rules.public_keys(path.read_bytes()))
        except ValueError as error:
            raise ConfigError(f"VIDEOFLEET_LICENCE_PUBLIC_KEYS: {path}: {error}") from error
    return tuple(keys)
