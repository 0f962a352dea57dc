"""Schemas of the custom resources that the manifests use; unknown fields are refused.

From the definitions of the Prometheus operator (monitoring.coreos.com/v1), of KEDA
(keda.sh/v1alpha1), of the Gateway API (gateway.networking.k8s.io/v1) and of the External Secrets
operator (external-secrets.io/v1), limited to the fields that the manifests use.
"""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}


def _object(*required: str, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


_DURATION: Schema = {"type": "string", "pattern": r"^([0-9]+(ms|s|m|h|d))+$"}
_PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65_535}
_EXPRESSION: Schema = _object(
    *("key", "operator"),
    key=_TEXT,
    operator={"enum": ["In", "NotIn", "Exists", "DoesNotExist"]},
    values=_list(_TEXT),
)
_SELECTOR: Schema = _object(matchLabels=_TEXTS, matchExpressions=_list(_EXPRESSION))
_ENDPOINT: Schema = _object(
    "port",
    port=_TEXT,
    path=_TEXT,
    interval=_DURATION,
    relabelings=_list(
        _object(
            *("sourceLabels", "targetLabel", "replacement"),
            sourceLabels=_list(_TEXT),
            targetLabel=_TEXT,
            replacement=_TEXT,
        )
    ),
    authorization=_object(
        "credentials", type=_TEXT, credentials=_object("name", "key", name=_TEXT, key=_TEXT)
    ),
)
_ALERT: Schema = {
    **_object(
        "alert",
        "expr",
        **{"for": _DURATION},
        alert=_TEXT,
        expr=_TEXT,
        labels=_TEXTS,
        annotations=_TEXTS,
    )
}
_RECORDING: Schema = _object("record", "expr", record=_TEXT, expr=_TEXT, labels=_TEXTS)
_RULE: Schema = {"oneOf": [_ALERT, _RECORDING]}


def _resource(spec: Schema) -> Schema:
    metadata = _object("name", name=_TEXT, namespace=_TEXT, labels=_TEXTS, annotations=_TEXTS)
    return _object(
        *("apiVersion", "kind", "metadata", "spec"),
        apiVersion=_TEXT,
        kind=_TEXT,
        metadata=metadata,
        spec=spec,
    )


SCHEMAS: Mapping[tuple[str, str], Schema] = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): _resource(
        _object("selector", "endpoints", selector=_SELECTOR, endpoints=_list(_ENDPOINT))
    ),
    ("monitoring.coreos.com/v1", "PodMonitor"): _resource(
        _object(
            *("selector", "podMetricsEndpoints"),
            selector=_SELECTOR,
            podMetricsEndpoints=_list(_ENDPOINT),
        )
    ),
    ("monitoring.coreos.com/v1", "PrometheusRule"): _resource(
        _object("groups", groups=_list(_object("name", "rules", name=_TEXT, rules=_list(_RULE))))
    ),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): _resource(
        _object(
            *("parentRefs", "hostnames", "rules"),
            parentRefs=_list(
                _object("name", name=_TEXT, namespace=_TEXT, sectionName=_TEXT, port=_PORT)
            ),
            hostnames=_list(_TEXT),
            rules=_list(
                _object(
                    "backendRefs",
                    backendRefs=_list(_object("name", "port", name=_TEXT, port=_PORT)),
                    timeouts=_object(request=_DURATION, backendRequest=_DURATION),
                )
            ),
        )
    ),
    ("external-secrets.io/v1", "ExternalSecret"): _resource(
        _object(
            *("secretStoreRef", "target", "data"),
            refreshInterval=_DURATION,
            secretStoreRef=_object(
                *("name", "kind"), name=_TEXT, kind={"enum": ["SecretStore", "ClusterSecretStore"]}
            ),
            target=_object("name", name=_TEXT),
            data=_list(
                _object(
                    *("secretKey", "remoteRef"),
                    secretKey=_TEXT,
                    remoteRef=_object("key", key=_TEXT, property=_TEXT),
                )
            ),
        )
    ),
    ("keda.sh/v1alpha1", "ScaledObject"): _resource(
        _object(
            *("scaleTargetRef", "triggers"),
            scaleTargetRef=_object("name", name=_TEXT, kind=_TEXT, apiVersion=_TEXT),
            minReplicaCount={"type": "integer", "minimum": 0},
            maxReplicaCount={"type": "integer", "minimum": 1},
            cooldownPeriod={"type": "integer", "minimum": 0},
            triggers=_list(_object("type", "metadata", type=_TEXT, metadata=_TEXTS)),
        )
    ),
}
