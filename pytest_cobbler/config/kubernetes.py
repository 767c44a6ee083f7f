"""The key ``kubernetes_pod``: the fields of a pod that a user may set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from pytest_cobbler.config.faults import Wrong, shown
from pytest_cobbler.config.texts import each, each_of, mapping, text

__all__ = ["ALLOWED", "PodField"]

_OURS: Final = "cobbler.dev/"


def _texts(value: object) -> dict[str, str]:
    return each_of(mapping(value, "name: text"), lambda _name, one: text(one))


def _labels(value: object) -> dict[str, str]:
    labels = _texts(value)
    for name in labels:
        if name.startswith(_OURS):
            raise Wrong(f"{shown(name)} is not allowed: these labels are our own")
    return labels


def _annotations(value: object) -> dict[str, str]:
    annotations = _texts(value)
    for name in annotations:
        if ".security." in name.partition("/")[0]:
            raise Wrong(f"{shown(name)} is not allowed: it could take a protection away")
    return annotations


def _anything(value: object) -> dict[str, Any]:
    return dict(mapping(value, "name: value"))


def _name(value: object) -> dict[str, str]:
    secret = _texts(value)
    if set(secret) != {"name"}:
        raise Wrong(f"{shown(value)} where name: SECRET belongs")
    return secret


def _resources(value: object) -> dict[str, dict[str, str]]:
    def check(name: str, amounts: object) -> dict[str, str]:
        if name not in ("limits", "requests"):
            raise Wrong("is not allowed; allowed: limits or requests")
        return _texts(amounts)

    return each_of(mapping(value, "limits: {memory: 4Gi}"), check)


ALLOWED: Final[Mapping[str, Callable[[object], Any]]] = {
    "nodeSelector": _texts,
    "tolerations": lambda value: list(each(value, _anything)),
    "affinity": _anything,
    "runtimeClassName": text,
    "resources": _resources,
    "imagePullSecrets": lambda value: list(each(value, _name)),
    "labels": _labels,
    "annotations": _annotations,
}
"""Field -> its check. They choose nodes and what a pod may use of them, and open nothing."""


def _checked(name: str, value: object) -> Any:
    if name not in ALLOWED:
        raise Wrong(f"is not allowed; allowed: {', '.join(ALLOWED)}")
    return ALLOWED[name](value)


def _pod(value: object) -> dict[str, Any]:
    return each_of(mapping(value, "nodeSelector: {...}"), _checked)


PodField = Annotated[
    Mapping[str, Any],
    PlainValidator(_pod),
    PlainSerializer(dict, return_type=dict[str, Any]),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {name: {} for name in ALLOWED},
            "additionalProperties": False,
        }
    ),
]
