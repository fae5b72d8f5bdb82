"""Which pools take which jobs."""

from collections.abc import Mapping

from videofleet_api.names import ANNOTATION_DRAIN
from videofleet_api.videojob import LabelSelector, MatchExpression
from videofleet_operator.domain.model import Job, Pool

Labels = Mapping[str, str]
ANY_NAMESPACE = "*"


def refusal(pool: Pool, job: Job) -> str | None:
    """Why the pool does not take the job, as the end of a sentence; None: it takes it."""
    return (
        _drain_refusal(pool)
        or _namespace_refusal(pool, job.namespace)
        or _job_labels_refusal(pool, job.spec.labels)
        or _selector_refusal(pool, job.spec.worker_selector)
    )


def visible(pool: Pool, namespace: str) -> bool:
    """Whether somebody of the namespace may hear of the pool: it is theirs, or it takes jobs of theirs."""
    return pool.namespace == namespace or _namespace_refusal(pool, namespace) is None


def selects(selector: LabelSelector, labels: Labels) -> bool:
    """Whether a label selector matches, as Kubernetes reads it; an empty one matches everything."""
    equal = all(labels.get(key) == value for key, value in selector.match_labels.items())
    return equal and all(_holds(expression, labels) for expression in selector.match_expressions)


def _holds(expression: MatchExpression, labels: Labels) -> bool:
    values = expression.values or ()
    value = labels.get(expression.key)
    match expression.operator:
        case "In":
            return value is not None and value in values
        case "NotIn":
            # As in Kubernetes, a label that is not there is not in any set.
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False


def _drain_refusal(pool: Pool) -> str | None:
    return f"is being emptied (annotation {ANNOTATION_DRAIN})" if pool.draining else None


def _namespace_refusal(pool: Pool, namespace: str) -> str | None:
    allowed = pool.spec.allowed_namespaces or [pool.namespace]
    if ANY_NAMESPACE in allowed or namespace in allowed:
        return None
    return f"takes no jobs of namespace {namespace}"


def _job_labels_refusal(pool: Pool, labels: Labels) -> str | None:
    missing = [f"{key}={value}" for key, value in sorted(pool.spec.job_labels.items()) if labels.get(key) != value]
    return f"needs job label {', '.join(missing)}" if missing else None


def _selector_refusal(pool: Pool, selector: LabelSelector | None) -> str | None:
    if selector is None or selects(selector, pool.spec.labels):
        return None
    wrong = [
        f"{key}={value}" for key, value in sorted(selector.match_labels.items()) if pool.spec.labels.get(key) != value
    ]
    wrong += [_told(each) for each in selector.match_expressions if not _holds(each, pool.spec.labels)]
    return f"lacks label {', '.join(wrong)}"


def _told(expression: MatchExpression) -> str:
    values = f" ({', '.join(expression.values)})" if expression.values else ""
    return f"{expression.key} {expression.operator}{values}"
