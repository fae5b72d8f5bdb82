"""What the chart lets its accounts do."""

from collections.abc import Iterable

from tests.unit.chart.rendering import NAMESPACE, Json, Rendered, render

Grant = tuple[str, str, str]
"""API group, resource, verb."""

READ = ("list", "watch")
STATUSES = ("videojobs/status", "workerpools/status")
NAMESPACED: frozenset[Grant] = frozenset(
    {
        *(("videofleet.io", kind, verb) for kind in ("videojobs", "workerpools") for verb in READ),
        *(("videofleet.io", kind, "patch") for kind in STATUSES),
        ("videofleet.io", "videojobs", "delete"),
        *(("", "pods", verb) for verb in ("get", "list", "watch", "create", "delete")),
        *(("", "secrets", verb) for verb in ("get", "create", "patch", "delete")),
        *(("policy", "poddisruptionbudgets", verb) for verb in ("get", "list", "watch", "create", "patch")),
        *(("", "events", verb) for verb in ("create", "patch")),
    }
)
CLUSTER: frozenset[Grant] = frozenset(
    {
        *(("videofleet.io", "videolicenses", verb) for verb in READ),
        ("videofleet.io", "videolicenses/status", "patch"),
        *(("", "nodes", verb) for verb in ("list", "watch")),
    }
)


def grants(rules: Iterable[Json], *, named: bool = False) -> frozenset[Grant]:
    """What rules allow; `named`: only those that are narrowed to names, otherwise only those that are not."""
    return frozenset(
        (group, resource, verb)
        for rule in rules
        if bool(rule.get("resourceNames")) == named
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )


def subjects_of(rendered: Rendered, kind: str, role: str, namespace: str | None) -> list[Json]:
    """Subjects of the bindings that refer to a role."""
    bindings = [item for item in rendered.of(f"{kind}Binding", namespace) if item["roleRef"]["name"] == role]
    return [subject for binding in bindings for subject in binding["subjects"]]


def test_with_all_namespaces_everything_is_in_one_cluster_role() -> None:
    rendered = render()
    (role,) = rendered.of("ClusterRole")
    assert grants(role["rules"]) == NAMESPACED | CLUSTER
    assert rendered.environment()["VIDEOFLEET_NAMESPACES"] == ""


def test_with_named_namespaces_the_cluster_role_holds_only_what_is_cluster_scoped() -> None:
    rendered = render(watchNamespaces=["north", "south"])
    (role,) = rendered.of("ClusterRole")
    assert grants(role["rules"]) == CLUSTER


def test_with_named_namespaces_there_is_a_role_in_each_and_in_the_releases_own() -> None:
    rendered = render(watchNamespaces=["north", "south"])
    for namespace in ("north", "south", NAMESPACE):
        name = f"{NAMESPACE}-videofleet-operator-jobs"
        (role,) = [item for item in rendered.of("Role", namespace) if item["metadata"]["name"] == name]
        assert grants(role["rules"]) == NAMESPACED
        (subject,) = subjects_of(rendered, "Role", name, namespace)
        assert subject == {"kind": "ServiceAccount", "name": "videofleet-operator", "namespace": NAMESPACE}
    assert rendered.environment()["VIDEOFLEET_NAMESPACES"] == f"{NAMESPACE},north,south"


def test_the_lease_and_the_authority_are_narrowed_to_their_names() -> None:
    rendered = render(operator={"leaseName": "the-lease"})
    role = rendered.one("Role", "videofleet-operator")
    assert grants(role["rules"]) == {("coordination.k8s.io", "leases", "create"), ("", "secrets", "create")}
    assert grants(role["rules"], named=True) == {
        ("coordination.k8s.io", "leases", "get"),
        ("coordination.k8s.io", "leases", "watch"),
        ("coordination.k8s.io", "leases", "patch"),
        ("", "secrets", "get"),
    }
    names = {rule["resources"][0]: rule["resourceNames"] for rule in role["rules"] if "resourceNames" in rule}
    assert names == {"leases": ["the-lease"], "secrets": ["videofleet-worker-authority"]}
    environment = rendered.environment()
    assert environment["VIDEOFLEET_LEASE_NAME"] == "the-lease"
    assert environment["VIDEOFLEET_AUTHORITY_SECRET"] == "videofleet-worker-authority"


def test_askers_reach_the_operators_endpoint_and_nothing_else() -> None:
    everybody = {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:authenticated"}
    rendered = render(operator={"askers": [everybody]})
    role = rendered.one("Role", "videofleet-operator-askers")
    assert grants(role["rules"], named=True) == {("", "services/proxy", "get")}
    assert grants(role["rules"]) == frozenset()
    assert role["rules"][0]["resourceNames"] == ["videofleet-operator:metrics"]
    assert subjects_of(rendered, "Role", "videofleet-operator-askers", NAMESPACE) == [everybody]
    ports = rendered.one("Service", "videofleet-operator")["spec"]["ports"]
    assert "metrics" in {port["name"] for port in ports}


def test_probers_may_have_sources_looked_at_and_nothing_else() -> None:
    everybody = {"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": "system:authenticated"}
    rendered = render(operator={"probers": [everybody]})
    role = rendered.one("Role", "videofleet-operator-probers")
    assert grants(role["rules"], named=True) == {("", "services/proxy", "create")}
    assert grants(role["rules"]) == frozenset()
    assert role["rules"][0]["resourceNames"] == ["videofleet-operator:metrics"]
    assert subjects_of(rendered, "Role", "videofleet-operator-probers", NAMESPACE) == [everybody]
    assert "videofleet-operator-probers" not in {each["metadata"]["name"] for each in render().of("Role")}


def test_without_askers_nobody_may_ask() -> None:
    assert "videofleet-operator-askers" not in {role["metadata"]["name"] for role in render().of("Role")}


def test_only_the_licence_that_is_named_can_be_read() -> None:
    reference = {"namespace": "vault", "name": "lic", "key": "k"}
    rendered = render(watchNamespaces=["north"], licence={"secretRef": reference})
    (role,) = rendered.of("Role", "vault")
    assert grants(role["rules"], named=True) == {("", "secrets", "get")}
    assert role["rules"][0]["resourceNames"] == ["lic"]
    assert rendered.one("VideoLicense", "default")["spec"]["secretRef"] == reference


def test_nothing_is_granted_with_a_wildcard() -> None:
    for rendered in (render(), render(watchNamespaces=["north"])):
        for role in rendered.of("Role") + rendered.of("ClusterRole"):
            for rule in role["rules"]:
                assert "*" not in (*rule["apiGroups"], *rule["resources"], *rule["verbs"]), role["metadata"]["name"]


def test_secrets_can_never_be_listed() -> None:
    rendered = render()
    for role in rendered.of("Role") + rendered.of("ClusterRole"):
        for rule in role["rules"]:
            assert "secrets" not in rule["resources"] or not {"list", "watch"} & set(rule["verbs"])


def test_the_test_may_only_make_read_and_delete_jobs() -> None:
    role = render().one("Role", "videofleet-test")
    assert grants(role["rules"]) == {("videofleet.io", "videojobs", verb) for verb in ("get", "create", "delete")}


def test_accounts_hand_out_no_token_unless_a_pod_asks() -> None:
    rendered = render()
    accounts = rendered.of("ServiceAccount")
    assert {account["metadata"]["name"] for account in accounts} == {"videofleet-operator", "videofleet-test"}
    assert all(account["automountServiceAccountToken"] is False for account in accounts)
    assert rendered.pod_spec()["automountServiceAccountToken"] is True


def test_two_releases_share_no_cluster_scoped_name() -> None:
    (here,) = render().of("ClusterRole")
    assert here["metadata"]["name"] == f"{NAMESPACE}-videofleet-operator"


def test_a_given_service_account_is_used_and_not_made() -> None:
    rendered = render(operator={"serviceAccount": {"name": "mine"}})
    assert rendered.pod_spec()["serviceAccountName"] == "mine"
    assert "mine" not in {account["metadata"]["name"] for account in rendered.of("ServiceAccount")}
    assert rendered.one("ClusterRoleBinding", f"{NAMESPACE}-videofleet-operator")["subjects"][0]["name"] == "mine"
