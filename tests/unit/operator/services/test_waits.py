"""One Event for each job that waits, and none where nothing else holds it back than before."""

from tests.support.domain import NOW, assigned, job, pool, record, snapshot, worker
from tests.unit.kube.helpers import ManualClock
from videofleet_api.codes import Reason
from videofleet_api.phases import Phase
from videofleet_operator.domain.explain import Explainer
from videofleet_operator.domain.model import Job, Licence, Pool, Snapshot
from videofleet_operator.domain.planner import plan
from videofleet_operator.services.announcements import Announcer
from videofleet_operator.services.waits import Waits

FULL = worker("a", capacity=1)


class Noted(Announcer):
    """Keeps what would become Events."""

    def __init__(self) -> None:
        self.posts: list[tuple[str, str, str]] = []

    def wait(self, job: Job, reason: str, message: str) -> None:
        self.posts.append((job.name, reason, message))


class Told:
    """Waits with a clock of the test's, and the Events that they made."""

    def __init__(self, *, began: bool = True) -> None:
        self.clock = ManualClock()
        self.noted = Noted()
        self.waits = Waits(self.noted, self.clock)
        if began:
            self.tell(snapshot([]))

    def tell(self, of: Snapshot) -> list[tuple[str, str, str]]:
        """Events of a pass."""
        before = len(self.noted.posts)
        self.waits.tell(Explainer(of, plan(of).waiting))
        return self.noted.posts[before:]


def waiting(uid: str = "j1", reason: Reason = Reason.WORKERS_FULL) -> Job:
    return job(uid, record(Phase.AWAITING, reason=reason))


def cluster(*jobs: Job, pools: list[Pool] | None = None, licence: Licence | None = None) -> Snapshot:
    busy = job("busy", record(Phase.INPROGRESS, worker=assigned(FULL)))
    return snapshot([busy, *jobs], [FULL], pools, licence, NOW)


def test_a_job_that_begins_to_wait_is_told_of_once() -> None:
    told = Told()
    assert told.tell(cluster(waiting())) == [("j1", "WorkersFull", "1 worker full")]
    assert told.tell(cluster(waiting())) == []
    told.clock.now += 3600
    assert told.tell(cluster(waiting())) == []


def test_other_reasons_rewrite_it_after_a_minute() -> None:
    told = Told()
    told.tell(cluster(waiting()))
    more = cluster(waiting(), pools=[pool(), pool("q", jobLabels={"x": "y"})], licence=Licence(1))
    told.clock.now += 59
    assert told.tell(more) == []
    told.clock.now += 2
    message = "1 worker full, 1 pool needs job label x=y, licence 1 of 1 used"
    assert told.tell(more) == [("j1", "WorkersFull", message)]


def test_other_counts_alone_rewrite_nothing() -> None:
    told = Told()
    told.tell(cluster(waiting()))
    told.clock.now += 61
    second = worker("b", capacity=1)
    busy = [job(each.name, record(Phase.INPROGRESS, worker=assigned(each))) for each in (FULL, second)]
    assert told.tell(snapshot([*busy, waiting()], [FULL, second])) == []


def test_what_another_process_told_is_not_repeated() -> None:
    told = Told(began=False)
    assert told.tell(cluster(waiting())) == []
    told.clock.now += 61
    assert [reason for _, reason, _ in told.tell(cluster(waiting(), licence=Licence(1)))] == ["WorkersFull"]


def test_one_that_waits_again_is_told_of_again() -> None:
    told = Told()
    told.tell(cluster(waiting()))
    told.tell(cluster())
    assert len(told.tell(cluster(waiting()))) == 1


def test_a_job_whose_status_does_not_say_yet_that_it_waits_is_not_told_of() -> None:
    told = Told()
    assert told.tell(cluster(job("j1"))) == []
    assert told.tell(cluster(waiting(reason=Reason.RESTARTING))) == []


def test_many_have_their_turn_one_pass_after_another() -> None:
    told = Told()
    many = cluster(*(waiting(f"j{n}") for n in range(250)))
    assert [len(told.tell(many)) for _ in range(4)] == [100, 100, 50, 0]
