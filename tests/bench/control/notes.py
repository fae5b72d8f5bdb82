"""What holds back the rows that are not met, and what to know when reading the others; by measure and start of peer."""

from typing import Final

_STEADY: Final = (
    "a plan is made at once, or 5 ms and 5 times the last one's duration after it; "
    "then comes one status write. A Job's way is two writes of programs that react to each event at once"
)
_CPU: Final = (
    "half the writes cost nearly as much in all: a VideoJob is JSON that is checked against its schema at every write, "
    "Jobs and Pods are protobuf to their controllers. An owner for each field of a status was a third of it and is "
    "gone; a fifth of what is left are the CEL rules, which are evaluated again with every status write"
)
_DRAINED: Final = "while a swarm is written, the first of it are handed to their workers and answered"

NOTES: Final[dict[tuple[str, str], str]] = {
    ("create to assigned, warm workers, p50", ""): _STEADY,
    ("create to assigned, warm workers, p99", "batch/v1 Job create to Pod scheduled, raised"): _STEADY,
    ("assignments a second", "Pods of batch/v1 Jobs scheduled a second, raised"): (
        "operator, simulated workers, API server and whoever watches share two cores: the swarm is held up by "
        "processor time, not by a limit of ours; the limit of 100 writes a second that there was is gone"
    ),
    ("assignments a second", "raw status patches"): (
        f"{_DRAINED}; each write also begins with a comparison of the whole status, and its answer is parsed into the "
        "cache before its watch event comes"
    ),
    ("create to running on a new worker", ""): (
        "kwok's containers start in no time, so what is compared is the machinery alone: beside the pod ours makes a "
        "key pair, dials the worker over mutual TLS, hands it the job, waits for its first frame and writes three "
        "statuses one after the other"
    ),
    ("API writes in a job's life, all actors", ""): (
        "its create, three status writes and two Events are six, of the peer's twelve; below 0.4 an Event would have "
        "to go, and when a stream was given to a worker and when it ran is what people look for with kubectl describe"
    ),
    ("API writes in a job's life, the operator without Events", ""): (
        "three a job; the rest are writes of the pool's status, whose used slots change with its jobs"
    ),
    ("API writes in a job's life, one stream a worker", ""): (
        "a key pair, a pod and its scheduling for each job; told without a goal"
    ),
    ("API server's processor time a job", ""): _CPU,
    ("API server's processor time a job, one stream a worker", ""): (
        "a key pair, a pod and its scheduling for each job; told without a goal"
    ),
    ("operator memory per 1,000 jobs", ""): (
        "was 22 MiB; a running job is 2.5 KB of objects now (its spec shared with all that differ in the address only, "
        "its status compressed), half a KB more while its Event waits to be sent; the rest of the slope is room that "
        "plans and writes of the first swarm took once and Python keeps, about 6 MiB however many jobs there are"
    ),
    ("cold start", "raw LIST"): (
        "imports of kopf, pydantic, cryptography and an HTTP server take half a second more than those of a bare list; "
        "then each object is checked and compressed while the list arrives, and one plan is made from nothing"
    ),
    ("cold start", "an operator on @kopf.index"): (
        "with so few jobs the start of Python and the Lease are most of ours; larger numbers were not measured beside "
        "the index"
    ),
    ("leader killed", ""): (
        "from the kill to the assignment of a job that was made right after it: what is left of the Lease, and a list "
        "of everything"
    ),
    ("leader stopped", ""): (
        "the standby watches the Lease; what it takes is the former leader's orderly end and a list of everything"
    ),
    ("1 of 20 workers lost", ""): (
        "each of the three writes of a stream is acknowledged before the next is planned, and before the last one the "
        "new worker is told and its first frame (50 ms) comes: six turns of a loop beside one swarm without a pause"
    ),
    ("plan 10000 jobs x 1000 workers, cold", ""): (
        "each job's facts, place and new record in plain Python, and the garbage that is collected meanwhile: without "
        "that it takes 121 ms. Jobs whose specs differ in the address alone share one, as in the caches, and what "
        "they have in common is found once"
    ),
    ("plan 10000 jobs x 1000 workers, 1 % dirty", ""): (
        "was 140 ms, then 16: what the last plan left is carried on; all jobs are still compared with those of then, "
        "but by identity and in no loop of Python's, and the workers are laid out by their room anew"
    ),
    ("pass of the leader over 10000 jobs x 1000 workers, nothing changed", ""): (
        "was 220 ms; what is left looks at each worker: its facts are compared with those of the last pass, for its "
        "pool's status and for what it is to run"
    ),
    ("pass of the leader over 10000 jobs x 1000 workers, 1 % of the jobs changed", ""): "was 400 ms",
    ("placed value, at once", ""): (
        "drawn clusters in which a quarter more is asked for than there is, pools that pack; nothing improves a plan "
        "afterwards, so what it is worth after half a second is the same"
    ),
}


def note_on(measure: str, against: str) -> str:
    """The sentence for a row; empty where there is nothing to say."""
    found = [
        (len(start), text)
        for (start, peer), text in NOTES.items()
        if measure.startswith(start) and against.startswith(peer)
    ]
    return max(found)[1] if found else ""
