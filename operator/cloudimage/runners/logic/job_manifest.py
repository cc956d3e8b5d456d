"""A transfer as a Kubernetes Job: what stands in it, and what is only mounted into its pod.

No secret is in the Job: its pod mounts the Secrets that the CloudImage names, and
:mod:`cloudimage.cli.transfer_job` puts them together with the rest of the request, which is an
annotation of the pod. Why so: docs/decisions/0014-transfers-as-jobs.md.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.names import API_VERSION, GROUP
from cloudimage.sources.base import Reference
from cloudimage.sources.customize import references_of
from cloudimage.transfer.contract import TEXT
from cloudimage.transfer.request import TransferRequest

UID_LABEL: Final = f"{GROUP}/uid"
DIGEST_LABEL: Final = f"{GROUP}/digest"
REQUEST_ANNOTATION: Final = f"{GROUP}/request"
SELECTOR: Final = f"{UID_LABEL},app.kubernetes.io/component=transfer"
"""Finds every Job of ours, and its pods."""

CONTAINER: Final = "transfer"
MOUNTS: Final = "/run/cloudimage"
"""Folder of the pod; each member of it is a volume, see :mod:`cloudimage.cli.transfer_job`."""
CLAIM: Final = "claim"
"""The member of them that is the volume of the source, if there is one."""
TERMINATION_GRACE_SECONDS: Final = 60
"""A transfer that is stopped takes its half-made image away."""

_SCRATCH = "/scratch"
_TMP = "/tmp"  # noqa: S108 - a volume of the pod's own
_TMP_SIZE = "1Gi"
_TERMINATION_MESSAGE = "/dev/termination-log"
_KEPT_SECONDS = 3600
_NONROOT = 65532
_READ_BY_GROUP = 0o440
_VOLUMES: Final = {"Secret": ("secret", "secretName"), "ConfigMap": ("configMap", "name")}
_POD_FIELDS = frozenset(
    {"nodeSelector", "tolerations", "affinity", "imagePullSecrets", "priorityClassName"}
)


@dataclass(frozen=True)
class JobTemplate:
    """What the operator's settings say of every Job.

    Attributes:
        image: The container image; it holds this very package. Empty: only customized
            images have Jobs.
        scratch_size: Quantity: room for the files of one transfer.
        storage_class: Of a volume made for each pod; empty: an emptyDir of the node.
        scratch_claim: A PersistentVolumeClaim of the CloudImage's namespace that its Jobs share
            instead; empty: each has a volume of its own.
        deadline_seconds: A Job that takes longer is ended, and retried.
        resources: The container's requests and limits.
        pod: Further fields of the pod's spec: where it may run, and what pulls its image.
        environment: Variables of the container, by which it finds a proxy.
        customize_image: The container image for spec.customize, which has libguestfs as well;
            empty: no image is customized.
        customize_resources: Requests and limits of its container.
    """

    image: str
    pull_policy: str = "IfNotPresent"
    scratch_size: str = "50Gi"
    storage_class: str = ""
    scratch_claim: str = ""
    deadline_seconds: int = 86400
    resources: Mapping[str, Any] = field(default_factory=dict)
    pod: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    customize_image: str = ""
    customize_resources: Mapping[str, Any] = field(default_factory=dict)

    def container(self, request: TransferRequest) -> dict[str, Any]:
        """Return which container image a transfer gets, and what it may use.

        Without one for spec.customize it is the other one, in which the transfer says so.
        """
        if request.customize and self.customize_image:
            return {"image": self.customize_image, "resources": dict(self.customize_resources)}
        return {"image": self.image, "resources": dict(self.resources)}

    def __post_init__(self) -> None:
        if unknown := ", ".join(sorted(self.pod.keys() - _POD_FIELDS)):
            allowed = ", ".join(sorted(_POD_FIELDS))
            raise ValueError(f"{unknown} cannot be set; of the pod's spec only {allowed} can")


def job_name(resource: CloudImage, digest: str) -> str:
    """Return the Job's name: one for each CloudImage and its bytes, so that none runs twice.

    At most 63 characters, which is what the pods' label ``job-name`` may have.
    """
    whose = hashlib.sha256(f"{resource.metadata.uid}/{digest}".encode()).hexdigest()[:10]
    readable = re.sub(r"[^a-z0-9-]", "-", resource.metadata.name)[:50].strip("-")
    return f"{readable}-{whose}"


def without_secrets(cloud_name: str, request: TransferRequest) -> str:
    """Return what is no secret of a request, as JSON, with the name of its cloud."""
    steps = request.customize and request.customize.without_texts()
    bare = request.model_copy(update={"source": request.source.without_texts(), "customize": steps})
    own = {"cloud", "scratch", "cache", "appliance"}
    body = bare.model_dump(mode="json", exclude=own, exclude_none=True)
    # An annotation is counted in bytes of UTF-8.
    whole = {"cloud": cloud_name, "request": body}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False)


def manifest(
    resource: CloudImage, digest: str, request: TransferRequest, template: JobTemplate
) -> dict[str, Any]:
    """Return the Job of a transfer.

    The pod passes Kubernetes' restricted Pod Security Standard and has no rights on the API. The
    operator does the retrying, since only it can take leftovers out of Glance first.

    Args:
        resource: The CloudImage that owns it.
        digest: Of the content that it makes.
        request: What to transfer; its secrets are left out.
        template: What the settings say.
    """
    labels = {
        "app.kubernetes.io/component": "transfer",
        "app.kubernetes.io/managed-by": "cloudimage-operator",
        UID_LABEL: resource.metadata.uid,
        DIGEST_LABEL: digest,
    }
    cloud_name = resource.spec.cloud_credentials_ref.cloud_name
    annotations = {REQUEST_ANNOTATION: without_secrets(cloud_name, request)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(resource, digest),
            "namespace": resource.metadata.namespace,
            "labels": labels,
            "ownerReferences": [_owner(resource)],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": template.deadline_seconds,
            "ttlSecondsAfterFinished": _KEPT_SECONDS,
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": _pod(resource, request, template),
            },
        },
    }


def _owner(resource: CloudImage) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "CloudImage",
        "name": resource.metadata.name,
        "uid": resource.metadata.uid,
        "controller": True,
    }


def _pod(resource: CloudImage, request: TransferRequest, template: JobTemplate) -> dict[str, Any]:
    volumes = [*_sources(resource, request), *_claims(request)]
    mounts = [
        {"name": each["name"], "mountPath": f"{MOUNTS}/{each['name']}", "readOnly": True}
        for each in volumes
    ]
    shared = ["--shared-scratch"] if template.scratch_claim else []
    return {
        **template.pod,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": TERMINATION_GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _NONROOT,
            "runAsGroup": _NONROOT,
            "fsGroup": _NONROOT,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": CONTAINER,
                **template.container(request),
                "imagePullPolicy": template.pull_policy,
                "command": ["cloudimage", "transfer-job"],
                "args": [
                    "--mounts",
                    MOUNTS,
                    "--termination-message",
                    _TERMINATION_MESSAGE,
                    *shared,
                ],
                "env": [
                    {"name": "CLOUDIMAGE_SCRATCH_DIR", "value": _SCRATCH},
                    # The root file system is read-only.
                    {"name": "TMPDIR", "value": _TMP if shared else _SCRATCH},
                    *({"name": name, "value": text} for name, text in template.environment.items()),
                ],
                "terminationMessagePath": _TERMINATION_MESSAGE,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    *mounts,
                    {"name": "scratch", "mountPath": _SCRATCH},
                    *([{"name": "tmp", "mountPath": _TMP}] if shared else []),
                ],
            }
        ],
        "volumes": [
            *volumes,
            {"name": "scratch", **_scratch(template)},
            *([{"name": "tmp", "emptyDir": {"sizeLimit": _TMP_SIZE}}] if shared else []),
        ],
    }


def _claims(request: TransferRequest) -> list[dict[str, Any]]:
    """Return the volume of the source, if it is in one; read-only, so that nothing changes it."""
    claim = request.source.volume_claim()
    if claim is None:
        return []
    volume = {"claimName": claim, "readOnly": True}
    return [{"name": CLAIM, "persistentVolumeClaim": volume}]


def _sources(resource: CloudImage, request: TransferRequest) -> list[dict[str, Any]]:
    """Return the volumes with what the CloudImage refers to, and the request itself."""
    keys = ["clouds.yaml", *(["cacert"] if request.cloud.ca_certificate else [])]
    annotation = {"fieldPath": f"metadata.annotations['{REQUEST_ANNOTATION}']"}
    found = [
        {
            "name": "request",
            "downwardAPI": {"items": [{"path": "request.json", "fieldRef": annotation}]},
        },
        {
            "name": "cloud",
            "secret": {
                "secretName": resource.spec.cloud_credentials_ref.secret_name,
                "items": [{"key": key, "path": key} for key in keys],
                "defaultMode": _READ_BY_GROUP,
            },
        },
    ]
    found += [_volume(each) for each in references_of(resource.spec)]
    return found


def _volume(reference: Reference) -> dict[str, Any]:
    kind, name_field = _VOLUMES[reference.kind]
    mounted: dict[str, Any] = {name_field: reference.target, "defaultMode": _READ_BY_GROUP}
    if reference.key is not None:
        mounted["items"] = [{"key": reference.key, "path": TEXT}]
    return {"name": reference.name, kind: mounted}


def _scratch(template: JobTemplate) -> dict[str, Any]:
    if template.scratch_claim:
        return {"persistentVolumeClaim": {"claimName": template.scratch_claim}}
    if not template.storage_class:
        return {"emptyDir": {"sizeLimit": template.scratch_size}}
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": template.storage_class,
        "resources": {"requests": {"storage": template.scratch_size}},
    }
    return {"ephemeral": {"volumeClaimTemplate": {"spec": claim}}}
