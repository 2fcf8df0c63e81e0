"""/metrics: the numbers that the service counts, in Prometheus' text format. Never labelled by user or item."""

from collections.abc import Iterator
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from ..measures import Histogram

if TYPE_CHECKING:
    from .app import App

CONTENT_TYPE = CONTENT_TYPE_LATEST


def render(app: "App") -> bytes:
    """All metrics, as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_OfThisProcess(app))
    return generate_latest(registry)


class _OfThisProcess(Collector):
    """With several workers, each answers with its own numbers, and each of them says whose it is."""

    def __init__(self, app: "App") -> None:
        self._worker = str(app.worker) if app.settings.workers > 1 else None
        self._collectors = (_Numbers(app), ProcessCollector(registry=None), PlatformCollector(registry=None))

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            for metric in collector.collect():
                if self._worker:
                    metric.samples = [
                        sample._replace(labels={**sample.labels, "worker": self._worker}) for sample in metric.samples
                    ]
                yield metric


class _Numbers(Collector):
    def __init__(self, app: "App") -> None:
        self._app = app

    def collect(self) -> Iterator[Metric]:
        yield from self._of_requests()
        yield from self._of_likes()

    def _of_requests(self) -> Iterator[Metric]:
        measures = self._app.measures
        requests = CounterMetricFamily(
            "likewise_requests", "Requests answered, by route and status", labels=["method", "route", "status"]
        )
        for (method, route, status), n in list(measures.ended.items()):
            requests.add_metric([method, route, str(status)], n)
        yield requests
        yield GaugeMetricFamily("likewise_requests_in_flight", "Requests being answered", measures.in_flight)
        yield _histogram("likewise_request_seconds", "Time to answer a request", measures.request_seconds)

    def _of_likes(self) -> Iterator[Metric]:
        likes = self._app.likes
        measures = likes.measures
        ops = CounterMetricFamily("likewise_ops", "Ops applied, by what they did", labels=["outcome"])
        for outcome in ("likes", "unlikes", "unchanged", "refused"):
            ops.add_metric([outcome], getattr(measures, outcome))
        yield ops
        yield _histogram("likewise_commit_ops", "Ops that shared a commit", measures.commit_ops)
        yield _histogram("likewise_commit_seconds", "Time of a commit, fsync included", measures.commit_seconds)
        yield GaugeMetricFamily("likewise_queue_depth", "Ops that wait for their commit", likes.writes.waiting)
        yield CounterMetricFamily("likewise_cache_hits", "Counts answered from memory", measures.cache_hits)
        yield CounterMetricFamily("likewise_cache_misses", "Counts read from the store", measures.cache_misses)
        yield GaugeMetricFamily("likewise_cache_items", "Counts in memory", len(likes.cache))
        hottest = [rate for _, rate in likes.trending(1)]
        yield GaugeMetricFamily(
            "likewise_hottest_item_likes_per_minute", "Rate of the hottest item", hottest[0] if hottest else 0
        )
        hot = sum(rate >= 60 for _, rate in likes.trending(100))
        yield GaugeMetricFamily("likewise_hot_items", "Items liked at least once a second (100 at most)", hot)


def _histogram(name: str, documentation: str, histogram: Histogram) -> HistogramMetricFamily:
    bounds = [*map(str, histogram.bounds), "+Inf"]
    buckets = list(zip(bounds, map(float, accumulate(histogram.counts)), strict=True))
    return HistogramMetricFamily(name, documentation, buckets=buckets, sum_value=histogram.sum)
