"""ImageShare: shares an image with other projects, as Glance members, and revokes them again."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from cloudimage.api.cloudimage import DeletionPolicy
from cloudimage.api.image import ImageName
from cloudimage.api.meta import (
    ApiModel,
    Condition,
    Resource,
    ResourceStatus,
    SecretName,
    Timestamp,
    conditions_field,
    rules,
)
from cloudimage.api.references import CloudCredentialsRef, GlanceImageId

ProjectId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
KeystoneName = Annotated[str, StringConstraints(min_length=1, max_length=255)]

MOST_MEMBERS = 4096
"""The most that fit into an object in etcd; Glance's default quota is 128 for an image."""


class CloudImageReference(ApiModel):
    """A CloudImage, possibly in another namespace."""

    name: SecretName = Field(description="The CloudImage's metadata.name.")
    namespace: Annotated[str, StringConstraints(min_length=1, max_length=63)] | None = Field(
        default=None,
        description="The CloudImage's namespace. Defaults to the ImageShare's. A CloudImage in "
        "another namespace must list the ImageShare's namespace in its "
        "spec.shareableFrom.namespaces.",
    )


class GlanceImageReference(
    ApiModel,
    json_schema_extra=rules(("has(self.id) != has(self.name)", "give either the id or the name")),
):
    """An image in Glance that no CloudImage manages."""

    cloud_credentials_ref: CloudCredentialsRef = Field(
        description="Credentials of the project that owns the image, or an administrator's."
    )
    id: GlanceImageId | None = Field(default=None, description="The image's id.")
    name: ImageName | None = Field(
        default=None,
        description="The image's name; exactly one image of the credentials' project must have "
        "it. Once found, the same image is used until it is deleted.",
    )


class Project(
    ApiModel,
    json_schema_extra=rules(
        ("has(self.id) != has(self.domain)", "give either the id, or the domain"),
        (
            # As Keystone checks ids: "id_string" of its API's schemas.
            "!has(self.id) || self.id.matches('^[a-zA-Z0-9-]+$')",
            (
                "id cannot be a project's id, which has letters, digits and dashes alone; give a "
                "project's name together with its domain"
            ),
        ),
        ("!has(self.name) || has(self.domain)", "a name needs its domain"),
        (
            "!has(self.acceptWith) || has(self.id) || has(self.name)",
            "acceptWith is for one project: also give its id or name",
        ),
    ),
):
    """One project, by id or by name and domain; or all projects of a domain."""

    id: ProjectId | None = Field(
        default=None,
        description="The project's id, most often 32 digits of 0-9 and a-f. Whether there is such "
        "a project is checked if the credentials may look projects up.",
    )
    name: KeystoneName | None = Field(default=None, description="The project's name.")
    domain: KeystoneName | None = Field(
        default=None,
        description="Name or id of the domain. Without a project name, all its projects are "
        "members, including projects created later, but not the one that owns the image; the "
        "credentials must be allowed to list them.",
    )
    accept_with: CloudCredentialsRef | None = Field(
        default=None,
        description="Credentials of that project, used to accept the image. If omitted, the "
        "project's users accept it with the command in status.members.",
    )


class MemberPolicy(StrEnum):
    """What happens to members that no ImageShare names."""

    MERGE = "Merge"
    EXACT = "Exact"


_SAME = "has(self.{0}) == has(oldSelf.{0}) && (!has(self.{0}) || self.{0} == oldSelf.{0})"
_SAME_IMAGE = (
    f"{_SAME.format('imageRef')} && (!has(self.image) || "
    f"{_SAME.format('image.id')} && {_SAME.format('image.name')})"
)


class ImageShareSpec(
    ApiModel,
    json_schema_extra=rules(
        ("has(self.imageRef) != has(self.image)", "give either imageRef or image"),
        (_SAME_IMAGE, "the shared image cannot be changed: create another ImageShare"),
    ),
):
    """The desired state."""

    image_ref: CloudImageReference | None = Field(
        default=None, description="The CloudImage to share."
    )
    image: GlanceImageReference | None = Field(
        default=None, description="The image to share, if no CloudImage manages it."
    )
    projects: Annotated[tuple[Project, ...], Field(min_length=1, max_length=1024)] = Field(
        description="The projects to share the image with."
    )
    member_policy: MemberPolicy = Field(
        default=MemberPolicy.MERGE,
        description="Merge: members added by other means are left alone. Exact: they are removed, "
        "unless another ImageShare names them.",
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.DELETE,
        description="Delete: when this object is deleted, each member is revoked once none of the "
        "project's servers uses the image. Orphan: the members stay.",
    )


class Member(ApiModel):
    """A project that the image is shared with."""

    project_id: str = Field(alias="projectID", description="The project's id.")
    project_name: str | None = Field(
        default=None, description="The project's name, if the credentials may see it."
    )
    status: Literal["pending", "accepted", "rejected"] = Field(
        description="Glance's member status; only an accepted image is in the project's image list."
    )
    since: Timestamp | None = Field(
        default=None, description="When Glance last changed the member's status."
    )
    accept_command: str | None = Field(
        default=None, description="The command with which a user of the project accepts the image."
    )


class ShareSummary(ApiModel):
    """Human-readable values for the columns of kubectl get."""

    image: str | None = Field(default=None, description="The image as named in the spec.")
    accepted: str | None = Field(
        default=None, description='Accepted members out of all wanted ones, for example "2/3".'
    )


class ImageShareStatus(ResourceStatus):
    """The observed state."""

    image_id: str | None = Field(
        default=None, alias="imageID", description="The Glance image that is shared."
    )
    projects: Annotated[tuple[str, ...], Field(max_length=MOST_MEMBERS)] = Field(
        default=(),
        description="Ids of the projects that this object made members, or is about to. Written "
        "before Glance is called, so that none is forgotten.",
    )
    members: Annotated[tuple[Member, ...], Field(max_length=MOST_MEMBERS)] = Field(
        default=(), description="Those of status.projects that are members of the image in Glance."
    )
    summary: ShareSummary | None = Field(default=None, description="Human-readable values.")
    conditions: tuple[Condition, ...] = conditions_field(
        "Ready, Accepted, DeletionBlocked; Reconciling and Stalled are present only while True."
    )


class ImageShare(Resource):
    """Shares one image with other projects, and can accept it for them."""

    spec: ImageShareSpec = Field(description="The desired state.")
    status: ImageShareStatus = Field(default=ImageShareStatus(), description="The observed state.")
