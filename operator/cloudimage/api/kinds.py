"""Our kinds as data: what a CustomResourceDefinition says beside the schema of its model.

A model is imported when it is asked for: a command that only names kinds starts without them.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from cloudimage.api.names import GROUP

if TYPE_CHECKING:
    from cloudimage.api.meta import Resource


@dataclass(frozen=True)
class Column:
    """One column of ``kubectl get``.

    Attributes:
        name: The heading; kubectl writes it in capitals.
        path: JSONPath within the object, in the subset that the API server knows.
        type: How the value is shown; a date becomes an age.
        wide: Whether it is shown with ``-o wide`` only.
    """

    name: str
    path: str
    type: Literal["string", "integer", "date"] = "string"
    wide: bool = False


@dataclass(frozen=True)
class Kind:
    """One namespaced kind with a status subresource.

    Attributes:
        name: The kind as manifests spell it. Its model, a class of the same name, is in the module
            of this package that is named like :attr:`singular`.
        plural: Its name in URLs and RBAC rules.
        short_names: What people type instead.
        columns: What ``kubectl get`` shows, in this order, after the name.
        selectable_fields: JSON paths that ``kubectl get --field-selector`` takes.
        categories: Groups that ``kubectl get`` takes, for instance ``kubectl get openstack``.
    """

    name: str
    plural: str
    short_names: tuple[str, ...]
    columns: tuple[Column, ...]
    selectable_fields: tuple[str, ...] = ()
    categories: tuple[str, ...] = ("openstack",)

    @property
    def model(self) -> "type[Resource]":
        """Its schema."""
        module = import_module(f"cloudimage.api.{self.singular}")
        model: type[Resource] = getattr(module, self.name)
        return model

    @property
    def singular(self) -> str:
        """The kind as people type it."""
        return self.name.lower()

    @property
    def crd_name(self) -> str:
        """The name of its CustomResourceDefinition; the API server prescribes the form."""
        return f"{self.plural}.{GROUP}"


_LAST_COLUMNS = (
    Column("Image ID", ".status.imageID", wide=True),
    Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', wide=True),
    Column("Message", '.status.conditions[?(@.type=="Ready")].message', wide=True),
    Column("Age", ".metadata.creationTimestamp", type="date"),
)

CLOUD_IMAGE = Kind(
    name="CloudImage",
    plural="cloudimages",
    short_names=("cimg",),
    columns=(
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Verified", '.status.conditions[?(@.type=="Verified")].status'),
        Column("Stage", ".status.progress.stage"),
        Column("Progress", ".status.summary.progress"),
        Column("Format", ".status.diskFormat"),
        Column("Size", ".status.summary.size"),
        Column("Visibility", ".status.visibility"),
        Column("In Use", ".status.summary.inUse"),
        Column("Use Checked", ".status.usedBy.lastCheckTime", type="date"),
        Column("Version", ".status.follow.version", wide=True),
        Column("Booted", '.status.conditions[?(@.type=="Booted")].status', wide=True),
        Column("Checked", ".status.follow.lastCheckTime", type="date", wide=True),
        *_LAST_COLUMNS,
    ),
    # The two questions that otherwise need every object listed: which images does a rotated
    # Secret concern, and which object does an image seen in Glance belong to.
    selectable_fields=(".spec.cloudCredentialsRef.secretName", ".status.imageID"),
)

IMAGE_SHARE = Kind(
    name="ImageShare",
    plural="imageshares",
    short_names=("cimgshare",),
    columns=(
        Column("Image", ".status.summary.image"),
        Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
        Column("Accepted", ".status.summary.accepted"),
        *_LAST_COLUMNS,
    ),
    # Who shares an image that is seen in Glance.
    selectable_fields=(".status.imageID",),
)

KINDS = (CLOUD_IMAGE, IMAGE_SHARE)
"""Every kind of the group: another one joins here and gets its CRD, docs and chart template."""


def kind_of(model: "type[Resource]") -> Kind:
    """Return the kind of a model's objects."""
    return next(each for each in KINDS if each.name == model.__name__)
