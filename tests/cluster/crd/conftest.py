"""A real API server with our CRDs."""

import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config

from tests.cluster.crd.server import Server


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The API server of $KUBECONFIG with the CRDs in the tests' group; both CRDs and namespace are removed after."""
    path = os.environ.get("KUBECONFIG")
    if not path:
        pytest.fail(
            "KUBECONFIG is not set: these tests need a real API server; `make test` brings one up", pytrace=False
        )
    configuration = client.Configuration()
    load: Any = config.load_kube_config
    load(path, client_configuration=configuration)
    with client.ApiClient(configuration) as connection:
        # A name of its own: the namespace of a run just before may still be on its way out.
        made = Server(connection, f"crd-test-{uuid.uuid4().hex[:8]}")
        core: Any = client.CoreV1Api(connection)
        # What an interrupted run left behind.
        made.remove()
        core.create_namespace({"metadata": {"name": made.namespace}})
        made.install()
        try:
            yield made
        finally:
            made.remove()
            core.delete_namespace(made.namespace)
