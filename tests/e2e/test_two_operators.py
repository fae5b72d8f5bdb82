"""What the chart makes for availability, on the real node: a second operator, budgets, and pods for one job each."""

from examples.demo import tools
from tests.e2e.conftest import Deployment
from tests.support.kubectl import Json, Moves, applied, await_phase, conditions, eventually, job_manifest, status

OPERATORS = "app.kubernetes.io/component=operator"
LEASE = "videofleet-operator"


def holder(deployment: Deployment) -> str:
    """Name of the pod that leads."""
    lease = tools.get("lease", LEASE, deployment.namespace) or {}
    return str(lease.get("spec", {}).get("holderIdentity", "")).rpartition("_")[0]


def two_ready(deployment: Deployment) -> set[str]:
    """The names of the operators that are ready; nothing while those are not two."""
    pods = tools.get_all("pods", deployment.namespace, OPERATORS)
    here = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    ready = {pod["metadata"]["name"] for pod in here if conditions(pod["status"]).get("Ready") == "True"}
    return ready if len(ready) == len(here) == 2 else set()


def test_a_leader_that_is_lost_is_followed_and_no_stream_notices(deployment: Deployment, moves: Moves) -> None:
    operators = eventually(lambda: two_ready(deployment), "there are two operators")
    with applied(job_manifest("watched", deployment.namespace, deployment.rtsp("cam1"))):
        before = await_phase("watched", deployment.namespace, "INPROGRESS")
        leader = holder(deployment)
        assert leader in operators
        now = ("--grace-period=0", "--force", "--wait=false")
        tools.must("kubectl", "delete", "pod", leader, "-n", deployment.namespace, *now)
        # The other one, or whoever comes in the place of the lost one.
        eventually(lambda: holder(deployment) not in ("", leader), "another one leads")
        with applied(job_manifest("later", deployment.namespace, deployment.rtsp("cam2"))):
            await_phase("later", deployment.namespace, "INPROGRESS")
        after = status("watched", deployment.namespace)
        assert (after["epoch"], after["worker"]["instance"]) == (before["epoch"], before["worker"]["instance"])
        assert moves.phases("watched")[-1] == "INPROGRESS"
        assert moves.phases("watched").count("INPROGRESS") == 1


def test_evictions_are_bounded(deployment: Deployment) -> None:
    budgets = {budget["metadata"]["name"]: budget for budget in tools.get_all("pdb", deployment.namespace)}
    assert budgets.keys() == {"default-workers", f"{deployment.release}-operator"}
    assert budgets["default-workers"]["spec"]["selector"]["matchLabels"] == {"videofleet.io/pool": "default"}


def test_a_job_has_a_pod_of_its_own(deployment: Deployment) -> None:
    def pool_pods() -> list[Json]:
        return [pod for pod in deployment.workers() if pod["metadata"]["labels"]["videofleet.io/pool"] == "apart"]

    apart = {"apart": "yes"}
    spec = {"accelerator": {"type": "none"}, "isolation": "pod", "minWorkers": 0, "maxWorkers": 1, "labels": apart}
    metadata = {"name": "apart", "namespace": deployment.namespace}
    pool = {"apiVersion": "videofleet.io/v1alpha1", "kind": "WorkerPool", "metadata": metadata, "spec": spec}
    selector = {"workerSelector": {"matchLabels": apart}}
    with applied(pool):
        workers = []
        for name in ("first", "second"):
            with applied(job_manifest(name, deployment.namespace, deployment.rtsp("cam1"), **selector)):
                running = await_phase(name, deployment.namespace, "INPROGRESS")
                assert running["worker"]["pool"] == f"{deployment.namespace}/apart"
                workers.append(running["worker"]["id"])
        assert len(set(workers)) == 2
        eventually(lambda: not pool_pods(), "the pods went with their jobs")
