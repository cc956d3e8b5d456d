"""spec.customize: what is done to an image after it was verified and before it is uploaded."""

from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from cloudimage.api.follow import TimeZone
from cloudimage.api.meta import ApiModel, Like, SecretName, rules
from cloudimage.api.references import KeyReference
from cloudimage.vocabulary.sysprep import SysprepOperation

MOST_STEPS: Final = 32
MOST_TEXT: Final = 6 * 2**10
"""Characters of a script or a file in the spec itself: all of them are in a Job's annotation."""

_PART: Final = (
    r"(?:[^./:\x00-\x1f\x7f][^/:\x00-\x1f\x7f]*|\.[^./:\x00-\x1f\x7f][^/:\x00-\x1f\x7f]*)"
)
GuestPath = Annotated[
    str,
    StringConstraints(min_length=2, max_length=512),
    Like(
        rf"(?:/{_PART})+",
        "must be an absolute path without . or .. or empty parts, colons and control characters",
    ),
]
"""A path in the image; a colon would end it in the arguments of virt-customize."""
Package = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128),
    Like(
        "[A-Za-z0-9][-A-Za-z0-9+._:~=]*",
        "must be a package's name, perhaps with a version or an architecture, such as nginx or "
        "nginx=1.22.1-9",
    ),
]
Unit = Annotated[
    str,
    StringConstraints(min_length=1, max_length=255),
    Like("[A-Za-z0-9][-A-Za-z0-9:_.@]*", "must be the name of a systemd unit"),
]
Line = Annotated[
    str,
    StringConstraints(max_length=4096),
    Like(r"[^\x00-\x08\x0a-\x1f\x7f]*", "must be one line without control characters"),
]
Text = Annotated[
    str,
    StringConstraints(max_length=MOST_TEXT),
    Like(r"[^\x00]*", "must not contain NUL"),
]
Mode = Annotated[
    str,
    StringConstraints(max_length=4),
    Like("0?[0-7]{3}", "must be a mode of three octal digits, such as 0644"),
]
Owner = Annotated[
    str,
    StringConstraints(max_length=65),
    Like(
        "(?:[a-z_][-a-z0-9_]*|[0-9]{1,10})(?::(?:[a-z_][-a-z0-9_]*|[0-9]{1,10}))?",
        "must be a user, perhaps with a group, such as root:adm",
    ),
]
SetTrue = Annotated[Literal[True], Field(json_schema_extra={"type": "boolean"})]


_ONE_SCRIPT: Final = (
    "[has(self.script), has(self.configMapKeyRef), has(self.secretKeyRef)].exists_one(x, x)"
)
_ONE_CONTENT: Final = (
    "[has(self.content), has(self.configMapKeyRef), has(self.secretKeyRef)].exists_one(x, x)"
)
_NETWORK_WHERE_NEEDED: Final = (
    "!has(self.steps) || (has(self.network) && self.network) || "
    "!self.steps.exists(x, has(x.installPackages) || has(x.update))"
)


_LABELS_LAST: Final = (
    "!has(self.steps) || self.steps.filter(x, has(x.selinuxRelabel)).size() == "
    "(has(self.steps[self.steps.size() - 1].selinuxRelabel) ? 1 : 0)"
)


_GROWTH_FIRST: Final = (
    "!has(self.steps) || self.steps.filter(x, has(x.growRoot)).size() == "
    "(has(self.steps[0].growRoot) ? 1 : 0)"
)


class RunStep(
    ApiModel,
    json_schema_extra=rules(
        (
            _ONE_SCRIPT,
            "give exactly one of script, configMapKeyRef and secretKeyRef",
        )
    ),
):
    """A script that runs in the image as root."""

    script: Text | None = Field(
        default=None,
        description="The script; without a line #! it is run by /bin/sh. Everyone who can read "
        "this object can read it.",
    )
    config_map_key_ref: KeyReference | None = Field(
        default=None, description="The key of a ConfigMap of this namespace that has the script."
    )
    secret_key_ref: KeyReference | None = Field(
        default=None, description="The key of a Secret of this namespace that has the script."
    )


class WriteFileStep(
    ApiModel,
    json_schema_extra=rules(
        (
            _ONE_CONTENT,
            "give exactly one of content, configMapKeyRef and secretKeyRef",
        )
    ),
):
    """A file to write; one that is there is replaced."""

    path: GuestPath = Field(description="Where it is to be; missing folders are made.")
    content: Text | None = Field(default=None, description="What it is to contain.")
    config_map_key_ref: KeyReference | None = Field(
        default=None, description="The key of a ConfigMap of this namespace with the content."
    )
    secret_key_ref: KeyReference | None = Field(
        default=None,
        description="The key of a Secret of this namespace with the content. It becomes part of "
        "the image: everyone who can boot it can read it.",
    )
    mode: Mode | None = Field(
        default=None, description="Its mode. Defaults to 0644, of a Secret's key to 0600."
    )
    owner: Owner | None = Field(default=None, description="Its owner. Defaults to root:root.")


class ObjectReference(ApiModel):
    """A Secret or a ConfigMap of the same namespace."""

    name: SecretName = Field(description="Its name.")


class CopyInStep(
    ApiModel,
    json_schema_extra=rules(
        (
            "has(self.configMapRef) != has(self.secretRef)",
            "give either configMapRef or secretRef",
        )
    ),
):
    """A folder of files, one for each key of a ConfigMap or a Secret."""

    directory: GuestPath = Field(description="The folder; it is made if it is missing.")
    config_map_ref: ObjectReference | None = Field(
        default=None, description="The ConfigMap; its files get the mode 0644."
    )
    secret_ref: ObjectReference | None = Field(
        default=None, description="The Secret; its files get the mode 0600."
    )


class AppendLineStep(ApiModel):
    """A line at the end of a file, which is made if it is missing."""

    path: GuestPath = Field(description="The file.")
    line: Line = Field(description="The line, without a line feed.")


class SysprepStep(ApiModel):
    """What virt-sysprep takes out of an image that has run."""

    operations: Annotated[tuple[SysprepOperation, ...], Field(min_length=1, max_length=32)] = Field(
        description="Its operations, by the names of virt-sysprep."
    )


_GROWTH_FITS: Final = (
    "!has(self.customize) || !has(self.customize.steps) || !has(self.image) || "
    "!has(self.image.minDiskGiB) || self.image.minDiskGiB == 0 || "
    "self.customize.steps.all(x, !has(x.growRoot) || x.growRoot.toGiB <= self.image.minDiskGiB)"
)


class GrowRootStep(ApiModel):
    """A larger disk, which the root partition and its file system then fill."""

    to_gib: int = Field(
        alias="toGiB",
        ge=1,
        le=65536,
        description="The size of the disk, in GiB; not less than it has.",
    )


CUSTOMIZE_RULES: Final = (
    (
        "!has(self.customize) || (has(self.source) && !has(self.source.upload))",
        "customize needs a source that the operator itself reads: not upload",
    ),
    (
        "!has(self.customize) || !has(self.__import__) || self.__import__.method != 'WebDownload'",
        "customize changes the bytes before Glance gets them: not with import.method WebDownload",
    ),
    (
        _GROWTH_FITS,
        "growRoot must not make the disk larger than image.minDiskGiB, the least disk of a server",
    ),
)
"""Of the whole spec."""

_KINDS: Final = (
    "installPackages",
    "update",
    "run",
    "writeFile",
    "copyIn",
    "appendLine",
    "timezone",
    "hostnameReset",
    "enableServices",
    "disableServices",
    "sysprep",
    "growRoot",
    "selinuxRelabel",
)
_ONE_KIND: Final = f"[{', '.join(f'has(self.{kind})' for kind in _KINDS)}].exists_one(x, x)"


class Step(
    ApiModel,
    json_schema_extra=rules(
        (_ONE_KIND, f"a step has exactly one of {', '.join(_KINDS[:-1])} and {_KINDS[-1]}")
    ),
):
    """One step: exactly one member."""

    install_packages: Annotated[tuple[Package, ...], Field(min_length=1, max_length=64)] | None = (
        Field(
            default=None,
            description="Packages to install by the image's own package manager; needs network.",
        )
    )
    update: SetTrue | None = Field(
        default=None, description="Update all packages of the image; needs network."
    )
    run: RunStep | None = Field(default=None, description="Run a script in the image, as root.")
    write_file: WriteFileStep | None = Field(default=None, description="Write a file.")
    copy_in: CopyInStep | None = Field(
        default=None, description="Write every key of a ConfigMap or a Secret as a file."
    )
    append_line: AppendLineStep | None = Field(default=None, description="Append a line to a file.")
    timezone: TimeZone | None = Field(
        default=None, description="Set the time zone, such as Europe/Berlin."
    )
    hostname_reset: SetTrue | None = Field(
        default=None, description="Set the host name to localhost, so that cloud-init sets it."
    )
    enable_services: Annotated[tuple[Unit, ...], Field(min_length=1, max_length=64)] | None = Field(
        default=None, description="systemd units to enable."
    )
    disable_services: Annotated[tuple[Unit, ...], Field(min_length=1, max_length=64)] | None = (
        Field(default=None, description="systemd units to disable.")
    )
    sysprep: SysprepStep | None = Field(
        default=None, description="Take out what belongs to one machine, by virt-sysprep."
    )
    grow_root: GrowRootStep | None = Field(
        default=None,
        description="Make the disk larger, and have the root fill it, before all other steps. The "
        "root must be the last partition of the disk, or the whole of it: ext2, ext3, ext4, XFS or "
        "Btrfs, in a GPT or MBR.",
    )
    selinux_relabel: SetTrue | None = Field(
        default=None,
        description="Relabel the files for SELinux, where the image has it; at its next boot if "
        "it cannot be done here.",
    )


class Customize(
    ApiModel,
    json_schema_extra=rules(
        (
            "has(self.steps) || has(self.sparsify) || has(self.compress)",
            "give at least one of steps, sparsify and compress",
        ),
        (
            _NETWORK_WHERE_NEEDED,
            "installPackages and update need network: true",
        ),
        (
            _LABELS_LAST,
            "selinuxRelabel labels what all other steps have done: make it the last step",
        ),
        (
            _GROWTH_FIRST,
            "growRoot makes room for all other steps: make it the first step",
        ),
    ),
):
    """What is done to the image, in this order: the steps, sparsify, compress.

    After steps /etc/machine-id has no id and there is no random seed, so that no two servers share
    them.
    """

    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MOST_STEPS)] | None = Field(
        default=None, description="The steps, in their order; the first that fails ends it."
    )
    network: bool | None = Field(
        default=None,
        description="Whether steps may reach servers: by HTTP and HTTPS, through a proxy of the "
        "transfer's own that reaches what the operator's urlPolicy allows. Defaults to false: no "
        "network at all.",
    )
    sparsify: bool | None = Field(
        default=None,
        description="Give back the space of deleted files and unused blocks (virt-sparsify).",
    )
    compress: bool | None = Field(
        default=None,
        description="Compress the clusters of the image, where it is kept as qcow2 in Glance.",
    )


class StepStatus(ApiModel):
    """What came of a step."""

    step: str = Field(max_length=64, description="Which member of the step is set.")
    result: Literal["Succeeded", "Failed", "NotRun"] = Field(description="How it ended.")
    seconds: int | None = Field(default=None, ge=0, description="How long it took.")
    message: Annotated[str, Field(max_length=4096)] | None = Field(
        default=None, description="Of a failed one: why, with the last of what it wrote."
    )
