"""What the gateway counts of itself."""

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


@dataclass(slots=True)
class Metrics:
    """Names begin with videofleet_gateway_."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    requests: Counter = field(init=False)
    seconds: Histogram = field(init=False)
    open_requests: Gauge = field(init=False)
    open_streams: Gauge = field(init=False)
    sent_bytes: Counter = field(init=False)

    def __post_init__(self) -> None:
        def name(rest: str) -> str:
            return f"videofleet_gateway_{rest}"

        self.requests = Counter(
            name("requests"), "Requests by their answer.", ["dialect", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            name("request_seconds"), "Until the answer begins.", ["dialect", "method"], registry=self.registry
        )
        self.open_requests = Gauge(name("open_requests"), "Being served.", ["dialect"], registry=self.registry)
        self.open_streams = Gauge(name("open_streams"), "Streams of results.", ["dialect"], registry=self.registry)
        self.sent_bytes = Counter(
            name("stream_bytes"), "Sent in streams of results.", ["dialect"], registry=self.registry
        )
