"""API priority: the operator's Lease and its writes come through on a busy API server."""

from tests.unit.chart.rendering import NAMESPACE, Json, render


def rule(schema: Json) -> Json:
    """The only rule of a FlowSchema for resources."""
    [only] = schema["spec"]["rules"]
    assert only["subjects"] == [
        {"kind": "ServiceAccount", "serviceAccount": {"name": "videofleet-operator", "namespace": NAMESPACE}}
    ]
    [resources] = only["resourceRules"]
    return dict(resources)


def test_the_lease_goes_with_leader_elections() -> None:
    schema = render().one("FlowSchema", "site-videofleet-operator-lease")
    assert schema["spec"]["priorityLevelConfiguration"]["name"] == "leader-election"
    assert rule(schema) == {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["get", "create", "patch"],
        "namespaces": [NAMESPACE],
    }


def test_writes_go_before_the_crowd_and_reads_with_it() -> None:
    schema = render().one("FlowSchema", "site-videofleet-operator-writes")
    assert schema["spec"]["priorityLevelConfiguration"]["name"] == "workload-high"
    assert rule(schema)["verbs"] == ["create", "patch", "delete"]


def test_the_lease_is_matched_first() -> None:
    lease, writes = (render().one("FlowSchema", f"site-videofleet-operator-{name}") for name in ("lease", "writes"))
    # The built-in schema for service accounts has 9000; the lower number wins.
    assert lease["spec"]["matchingPrecedence"] < writes["spec"]["matchingPrecedence"] < 9000


def test_priority_can_be_left_to_the_cluster() -> None:
    assert not render(operator={"apiPriority": False}).of("FlowSchema")
