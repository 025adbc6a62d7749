"""Tries to create an automation with a metric trigger, and prints why that fails."""

from prefect.automations import Automation
from prefect.events.actions import DoNothing
from prefect.events.schemas.automations import (
    MetricTrigger,
    MetricTriggerOperator,
    MetricTriggerQuery,
    Posture,
    PrefectMetric,
)
from prefect.exceptions import PrefectHTTPStatusError

query = MetricTriggerQuery(
    name=PrefectMetric.lateness, threshold=3, operator=MetricTriggerOperator.GT
)
trigger = MetricTrigger(posture=Posture.Metric, metric=query)
try:
    Automation(name="late", trigger=trigger, actions=[DoNothing()]).create()
except PrefectHTTPStatusError as error:
    print(error)
