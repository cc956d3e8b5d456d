"""ImageShare: an image given to other projects, as Glance's members, and taken back."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from cloudimage.api.cloudimage import CloudCredentialsRef, DeletionPolicy, GlanceImageId, ImageName
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

ProjectId = Annotated[str, StringConstraints(min_length=1, max_length=64)]
KeystoneName = Annotated[str, StringConstraints(min_length=1, max_length=255)]

MOST_MEMBERS = 4096
"""So many fit into an object that etcd takes; Glance's own default quota is 128 for an image."""


class CloudImageReference(ApiModel):
    """A CloudImage, perhaps of another namespace."""

    name: SecretName = Field(description="Its metadata.name.")
    namespace: Annotated[str, StringConstraints(min_length=1, max_length=63)] | None = Field(
        default=None,
        description="Its namespace; the ImageShare's own when left out. Another one must list the "
        "ImageShare's in the CloudImage's spec.shareableFrom.namespaces.",
    )


class GlanceImageReference(
    ApiModel,
    json_schema_extra=rules(("has(self.id) != has(self.name)", "give either the id or the name")),
):
    """An image in Glance that no CloudImage is for."""

    cloud_credentials_ref: CloudCredentialsRef = Field(
        description="Credentials of the project that owns the image, or an administrator's."
    )
    id: GlanceImageId | None = Field(default=None, description="The image's id.")
    name: ImageName | None = Field(
        default=None,
        description="The image's name; exactly one image of the credentials' project must have "
        "it. Once found, the image stays the one that is meant until it is deleted.",
    )


class Project(
    ApiModel,
    json_schema_extra=rules(
        ("has(self.id) != has(self.domain)", "give either the id, or the domain"),
        ("!has(self.name) || has(self.domain)", "a name needs the domain that it is of"),
        (
            "!has(self.acceptWith) || has(self.id) || has(self.name)",
            "acceptWith is for one project: give its id or its name, too",
        ),
    ),
):
    """One project by its id, one by its name and domain, or all projects of a domain."""

    id: ProjectId | None = Field(default=None, description="The project's id.")
    name: KeystoneName | None = Field(default=None, description="The project's name.")
    domain: KeystoneName | None = Field(
        default=None,
        description="Name or id of the domain. Without a name all its projects are meant, those "
        "too that are made later; for that the credentials must be allowed to list them.",
    )
    accept_with: CloudCredentialsRef | None = Field(
        default=None,
        description="Credentials of that project: the image is accepted with them. Left out: its "
        "users accept, by the command that status.members shows.",
    )


class MemberPolicy(StrEnum):
    """What becomes of members that no ImageShare names."""

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
        (_SAME_IMAGE, "which image is shared cannot be changed: make another ImageShare"),
    ),
):
    """What the user wants."""

    image_ref: CloudImageReference | None = Field(
        default=None, description="The CloudImage to share."
    )
    image: GlanceImageReference | None = Field(
        default=None, description="The image to share, if no CloudImage is for it."
    )
    projects: Annotated[tuple[Project, ...], Field(min_length=1, max_length=1024)] = Field(
        description="Whom the image is shared with."
    )
    member_policy: MemberPolicy = Field(
        default=MemberPolicy.MERGE,
        description="Merge: members that somebody else added are left alone. Exact: they are "
        "removed, unless another ImageShare names them.",
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.DELETE,
        description="Delete: the image is taken back when this object is deleted, from each "
        "project once no server of it uses the image. Orphan: the members stay.",
    )


class Member(ApiModel):
    """One project that the image is shared with."""

    project_id: str = Field(alias="projectID", description="The project's id.")
    project_name: str | None = Field(
        default=None, description="Its name, where the credentials may see it."
    )
    status: Literal["pending", "accepted", "rejected"] = Field(
        description="Glance's member status: only an accepted image is in the project's list."
    )
    since: Timestamp | None = Field(default=None, description="Since when, as Glance says.")
    accept_command: str | None = Field(
        default=None, description="What a user of the project runs to accept the image."
    )


class ShareSummary(ApiModel):
    """What people read, for the columns of kubectl get."""

    image: str | None = Field(default=None, description="The image, as the spec names it.")
    accepted: str | None = Field(
        default=None, description='Accepted members of all that are wanted, for instance "2/3".'
    )


class ImageShareStatus(ResourceStatus):
    """What the operator saw and did."""

    image_id: str | None = Field(
        default=None, alias="imageID", description="The Glance image that is shared."
    )
    projects: Annotated[tuple[str, ...], Field(max_length=MOST_MEMBERS)] = Field(
        default=(),
        description="Ids of the projects that this object gave the image to, or is about to. "
        "Written before Glance is asked, so that none is forgotten.",
    )
    members: Annotated[tuple[Member, ...], Field(max_length=MOST_MEMBERS)] = Field(
        default=(), description="Those of them that are members of the image in Glance."
    )
    summary: ShareSummary | None = Field(default=None, description="What people read.")
    conditions: tuple[Condition, ...] = conditions_field(
        "Ready, Accepted, DeletionBlocked; Reconciling and Stalled only while they are True."
    )


class ImageShare(Resource):
    """One image given to other projects: who they are, and who accepts for them."""

    spec: ImageShareSpec = Field(description="What the user wants.")
    status: ImageShareStatus = Field(
        default=ImageShareStatus(), description="What the operator saw and did."
    )
