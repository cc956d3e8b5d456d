"""The settings of ``cloudimage run``: each is declared here, and nowhere else.

Its environment variable, its option, its line of ``--help`` and its row of docs/settings.md follow.
"""

import json
import logging
import os
from functools import cached_property
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from cloudimage.access.policy import LOOPBACK, CloudPolicy
from cloudimage.addresses import ANYWHERE, Networks
from cloudimage.leader_election.rules import Terms
from cloudimage.runners.logic.job_manifest import JobTemplate
from cloudimage.shard import Shard
from cloudimage.transfer.contract import Limits, UrlPolicy


def _split(text: str | tuple[str, ...]) -> tuple[str, ...]:
    each = text.split(",") if isinstance(text, str) else text
    return tuple(word for word in map(str.strip, each) if word)


def _object(text: str) -> dict[str, Any]:
    value = json.loads(text or "{}")
    if not isinstance(value, dict):
        raise ValueError(f"{text} is no JSON object")  # noqa: TRY004  # a setting's value
    return value


def _level(text: str) -> str:
    if text.upper() not in logging.getLevelNamesMapping():
        raise ValueError(f"{text} is no level of logging")
    return text.upper()


_Count = Annotated[int, Field(ge=1)]
_Seconds = Annotated[float, Field(ge=5)]
_Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
_Networks = Annotated[Networks, BeforeValidator(_split)]
_Object = Annotated[dict[str, Any], BeforeValidator(_object)]
_UNWATCHED_SECONDS: Final = 1800.0
_KINDS: Final = {"string": "text", "array": "list", "object": "JSON"}


class Settings(BaseSettings):
    """How the operator runs: as its arguments say, else as the environment does."""

    model_config = SettingsConfigDict(
        env_prefix="CLOUDIMAGE_",
        env_ignore_empty=True,
        enable_decoding=False,  # it takes lists for JSON
        frozen=True,
        loc_by_alias=False,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )

    workers: ClassVar[int] = 64
    """How many objects are managed at once; bytes do not move in these. One namespace, and one
    Secret, has a quarter of them."""

    # Transfers make folders of mode 0700 in it.
    scratch: Path = Field(Path("/tmp/cloudimage"), validation_alias="CLOUDIMAGE_SCRATCH_DIR")  # noqa: S108 - a pod has a volume there
    """Folder for transfers' files."""
    namespaces: _Words = ()
    """Namespaces, with commas between; empty: all."""
    max_concurrent_transfers: _Count = 16
    """Transfers at once; a quarter of them for one namespace or Secret."""
    max_concurrent_boot_tests: _Count = 4
    """Servers of boot tests at once; a quarter of them for one namespace or Secret."""
    reconcile_seconds: _Seconds = 300
    """Seconds after which a look at one object is given up."""
    resync_seconds: _Seconds = 43200
    """Seconds between comparisons of an image with Glance, give or take a fifth. More than 1800
    count only while its cloud's listings show the image to be unchanged, and there are more then
    where it has many images."""
    delete_orphans: bool = False
    """Delete unfinished images that no CloudImage has; else they are only reported."""
    probe_address: str = ""
    """host:port of /healthz; empty: none."""
    metrics_address: str = ""
    """host:port of /metrics; empty: none."""
    max_scratch_gib: _Count = 1024
    """GiB that fetched files may take."""
    max_virtual_size_gib: _Count = 1024
    """GiB; larger disks are refused."""
    min_source_rate_kib: _Count = 256
    """KiB per second that a source must give on average, after ten minutes."""
    transfer_memory_mib: Annotated[int, Field(ge=256)] = 512
    """MiB of memory of each transfer, besides the programs that it starts."""
    allow_networks: _Networks = ()
    """CIDRs, with commas between, that images may be fetched from although they are private,
    loopback or link-local."""
    deny_networks: _Networks = ()
    """CIDRs, with commas between, that are refused whatever else allows them."""
    schemes: _Words = ("http", "https")
    """URL schemes that images may have, with commas between."""
    auth_needs_hosts: bool = False
    """Send a source credentials only if their Secret has the annotation cloudimage.dev/hosts."""
    cloud_hosts: _Words = ()
    """Host names that clouds may have, with commas between, *.example.org for all below; empty:
    any."""
    cloud_allow_networks: _Networks = (*ANYWHERE, *LOOPBACK)
    """CIDRs, with commas between, that clouds may be in. Link-local and metadata addresses must be
    named by networks of their own."""
    cloud_deny_networks: _Networks = ()
    """CIDRs, with commas between, that clouds may never be in."""
    log_level: Annotated[str, AfterValidator(_level)] = "INFO"
    """DEBUG, INFO, WARNING or ERROR."""
    runner: Literal["child", "job"] = "child"
    """Transfers are child processes of the operator, or Kubernetes Jobs."""
    job_image: str = ""
    """Container image of the Jobs. With the runner child those that read a PersistentVolumeClaim
    are Jobs; empty: none are made."""
    job_pull_policy: str = "IfNotPresent"
    """imagePullPolicy of the Jobs."""
    job_scratch_size: str = "50Gi"
    """Quantity: room for one Job's files."""
    job_storage_class: str = ""
    """StorageClass of a volume for each Job's files; empty: an emptyDir."""
    job_scratch_claim: str = ""
    """PersistentVolumeClaim, in the namespace of each CloudImage, that its Jobs share for their
    files; empty: each has a volume of its own."""
    job_deadline_seconds: _Count = 86400
    """Seconds a Job may take."""
    job_resources: _Object = Field(default_factory=dict)
    """JSON: requests and limits of the Jobs."""
    job_env: _Object = Field(default_factory=dict)
    """JSON: environment variables of the Jobs, by name; no secrets."""
    job_pod: _Object = Field(default_factory=dict)
    """JSON: nodeSelector, tolerations, affinity, imagePullSecrets and priorityClassName of the
    Jobs' pods."""
    customize_image: str = ""
    """Container image of the Jobs of images with spec.customize, whatever runs the others: the one
    with libguestfs. Empty: none are made."""
    customize_resources: _Object = Field(default_factory=dict)
    """JSON: requests and limits of these Jobs."""
    customize_appliance: str = ""
    """Folder of libguestfs' fixed appliance, where the runner child is to do spec.customize itself;
    empty: only Jobs do."""
    lease: str = ""
    """NAMESPACE/NAME of the Lease that the one of several operators holds that acts; empty: there
    is one operator."""
    lease_seconds: Annotated[int, Field(ge=3)] = 15
    """Seconds after which another operator takes over from one that is lost."""
    shard_count: _Count = 1
    """How many operators divide the namespaces, each with a Lease of its own."""
    shard_index: Annotated[int, Field(ge=0)] = 0
    """Which part this operator has, from 0."""

    @field_validator("*", mode="before")
    @classmethod
    def _stripped(cls, value: object) -> object:
        return value.strip() if isinstance(value, str) else value

    @field_validator("job_pod")
    @classmethod
    def _of_pods(cls, pod: dict[str, Any]) -> dict[str, Any]:
        return dict(JobTemplate(image="", pod=pod).pod)

    @field_validator("lease")
    @classmethod
    def _of_a_lease(cls, lease: str) -> str:
        if lease:
            Terms.of(lease, 1)
        return lease

    @model_validator(mode="after")
    def _job_has_an_image(self) -> Self:
        if self.runner == "job" and not self.job_image:
            raise ValueError("the runner job needs --job-image (env var: CLOUDIMAGE_JOB_IMAGE)")
        return self

    @model_validator(mode="after")
    def _shard_exists(self) -> Self:
        if self.shard_index >= self.shard_count:
            raise ValueError("--shard-index counts from 0 and is less than --shard-count")
        if self.shard_count > 1 and not self.lease:
            raise ValueError("--shard-count needs --lease (env var: CLOUDIMAGE_LEASE)")
        return self

    @cached_property
    def shard(self) -> Shard:
        """The namespaces whose objects are this operator's."""
        return Shard(self.shard_index, self.shard_count)

    @property
    def unwatched_seconds(self) -> float:
        """Seconds between comparisons of what no view of a cloud shows to be unchanged."""
        return min(self.resync_seconds, _UNWATCHED_SECONDS)

    @cached_property
    def policy(self) -> UrlPolicy:
        """Which URLs transfers fetch at all."""
        return UrlPolicy(
            schemes=self.schemes,
            allow_networks=self.allow_networks,
            deny_networks=self.deny_networks,
        )

    @cached_property
    def cloud_policy(self) -> CloudPolicy:
        """Where the clouds of Secrets may be: never where pods see the API server."""
        return CloudPolicy(
            hosts=self.cloud_hosts,
            allow_networks=self.cloud_allow_networks,
            deny_networks=(*self.cloud_deny_networks, *_api_server()),
        )

    @cached_property
    def limits(self) -> Limits:
        """What each transfer may use."""
        scratch = self.max_scratch_gib * 2**30
        return Limits(
            max_scratch=scratch,
            max_download=scratch,
            max_expanded=scratch,
            max_virtual_size=self.max_virtual_size_gib * 2**30,
            min_average_rate=self.min_source_rate_kib * 2**10,
            memory=self.transfer_memory_mib * 2**20,
        )

    @cached_property
    def job(self) -> JobTemplate | None:
        """How the Jobs of transfers look; None: no transfer can be one."""
        if not (self.job_image or self.customize_image):
            return None
        return JobTemplate(
            image=self.job_image,
            pull_policy=self.job_pull_policy,
            scratch_size=self.job_scratch_size,
            storage_class=self.job_storage_class,
            scratch_claim=self.job_scratch_claim,
            deadline_seconds=self.job_deadline_seconds,
            resources=self.job_resources,
            pod=self.job_pod,
            environment=self.job_env,
            customize_image=self.customize_image,
            customize_resources=self.customize_resources,
        )

    @cached_property
    def appliance(self) -> Path | None:
        """Where libguestfs' appliance is; None: this operator customizes nothing itself."""
        return Path(self.customize_appliance) if self.customize_appliance else None

    @cached_property
    def terms(self) -> Terms | None:
        """The Lease without which nothing is done; None: this operator is the only one."""
        return Terms.of(self.lease, self.lease_seconds, self.shard) if self.lease else None


def _api_server() -> tuple[str, ...]:
    try:
        return (str(ip_network(os.environ["KUBERNETES_SERVICE_HOST"])),)
    except (KeyError, ValueError):
        return ()


class Setting(NamedTuple):
    """What users see of a setting.

    Attributes:
        name: The field of :class:`Settings`.
        kind: What may be given, in a word or two.
        default: As one would write it.
    """

    name: str
    option: str
    variable: str
    kind: str
    default: str
    description: str


def _setting(name: str, schema: dict[str, Any]) -> Setting:
    default = schema.get("default", "")
    if isinstance(default, list):
        default = ",".join(default)
    kind = " or ".join(schema.get("enum", ())) or _KINDS.get(schema["type"], schema["type"])
    return Setting(
        name=name,
        option=f"--{name.replace('_', '-')}",
        variable=str(Settings.model_fields[name].validation_alias or f"CLOUDIMAGE_{name.upper()}"),
        kind=kind + (f" >= {schema['minimum']}" if "minimum" in schema else ""),
        default=default if isinstance(default, str) else json.dumps(default),
        description=" ".join(schema["description"].split()),
    )


SETTINGS: Final = tuple(
    _setting(*each) for each in Settings.model_json_schema(by_alias=False)["properties"].items()
)
"""Every setting, in the order of :class:`Settings`."""
