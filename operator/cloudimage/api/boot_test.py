"""spec.bootTest: a server that shows that the image boots, and what the status says of it."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from cloudimage.api.meta import ApiModel, Like, Timestamp, rules

_NameOrId = Annotated[str, StringConstraints(min_length=1, max_length=255)]
_NetworkId = Annotated[
    str,
    StringConstraints(max_length=36),
    Like(
        "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
        "must be the id of a network, for example 0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f",
    ),
]
UserName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=32),
    Like("[A-Za-z_][-A-Za-z0-9_.]*", "must be the name of a user, for example debian"),
]
Within = Annotated[
    str,
    StringConstraints(max_length=24),
    Like(
        "([3-9][0-9]|[1-9][0-9]{2}|[12][0-9]{3}|3[0-5][0-9]{2}|3600)s"
        "|([1-9]|[1-5][0-9])m([1-9]|[1-5][0-9])s|([1-9]|[1-5][0-9]|60)m|1h",
        "must be a duration between 30s and 1h, such as 10m",
    ),
]
Every = Annotated[
    str,
    StringConstraints(max_length=24),
    Like(
        "[1-9][0-9]{0,4}[dh]([1-9][0-9]{0,4}[dhms]){0,3}|([6-9][0-9]|[1-9][0-9]{2,4})m",
        "must be a duration of at least 1h, such as 30d",
    ),
]


class NetworkRef(
    ApiModel,
    json_schema_extra=rules(("has(self.name) != has(self.id)", "give either name or id")),
):
    """A network of the cloud."""

    name: _NameOrId | None = Field(default=None, description="Its name; exactly one has it.")
    id: _NetworkId | None = Field(default=None, description="Its id.")


class BootExpectation(
    ApiModel,
    json_schema_extra=rules(
        ("!self.ssh || self.sshKey", "a login by ssh needs the key: sshKey cannot be false"),
    ),
):
    """What a server that booted has to show."""

    ipv4: bool | None = Field(
        default=None,
        description="true: the guest has an IPv4 address, and each one that Nova gives the server. "
        "false: not looked at. If omitted, the guest has each one that Nova gives the server.",
    )
    ipv6: bool | None = Field(default=None, description="The same for IPv6.")
    ssh_key: bool = Field(
        default=True,
        description="The key of the server's key pair lets a user of the guest in: it is in an "
        "authorized_keys.",
    )
    ssh: bool = Field(
        default=False,
        description="The operator also logs in by ssh. It needs a network path to the server.",
    )
    console_matches: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = Field(
        default=None,
        description="A regular expression in RE2's syntax that a part of the console's text "
        "matches, for example login:.",
    )
    within: Within = Field(
        default="10m",
        description="How long it may take from the moment at which the server is ACTIVE, between "
        "30s and 1h.",
    )


_NO_ADDRESS = (
    "!has(self.networks) || size(self.networks) > 0 || "
    "!((has(self.expect.ipv4) && self.expect.ipv4) || (has(self.expect.ipv6) && self.expect.ipv6)"
    " || self.expect.ssh)"
)


class BootTest(
    ApiModel,
    json_schema_extra=rules(
        (_NO_ADDRESS, "without networks neither addresses nor a login by ssh can be expected"),
    ),
):
    """A server made from the image shows that it boots."""

    flavor: _NameOrId = Field(description="Name or id of the flavor of the server.")
    networks: Annotated[tuple[NetworkRef, ...], Field(max_length=8)] | None = Field(
        default=None,
        description="The networks of the server, an interface each. If omitted, Nova chooses as "
        "for --network auto; of an empty list the server has no interface.",
    )
    expect: BootExpectation = Field(
        default=BootExpectation(), description="What the server has to show."
    )
    user: UserName | None = Field(
        default=None,
        description="The user whose authorized_keys must have the key, and who logs in by ssh. If "
        "omitted, any user of the guest.",
    )
    volume_gib: Annotated[int, Field(ge=1, le=65536)] | None = Field(
        default=None,
        alias="volumeGiB",
        description="Boot from a volume of this size, in GiB. If omitted, from the image itself.",
    )
    required: bool = Field(
        default=True,
        description="Whether a new image is used only after it has passed. false: it is used at "
        "once, and the condition Booted says what came of the test.",
    )
    every: Every | None = Field(
        default=None,
        description="Test again so long after the last test, at least 1h: clouds change too. "
        "An image that is in use stays so, whatever comes of it.",
    )


class BootTestStatus(ApiModel):
    """The last boot test, or the one that is under way."""

    image_id: str = Field(alias="imageID", description="Id of the image that is tested.")
    spec_digest: str = Field(
        description="What the result depends on besides the bytes, in one value: spec.bootTest, "
        "and those properties of the image that tell Nova how to boot it."
    )
    result: Literal["Passed", "Failed"] | None = Field(
        default=None, description="What came of it; not set while it is under way."
    )
    reason: str | None = Field(default=None, description="Why; as in the condition Booted.")
    server_id: str | None = Field(
        default=None,
        alias="serverID",
        description="Id of the test's server in Nova; absent once it is deleted.",
    )
    cleanup: Literal["Pending", "Abandoned"] | None = Field(
        default=None,
        description="Pending: what the test made is being deleted. Abandoned: Nova has not deleted "
        "it within two minutes, and nothing waits for it any longer; delete serverID by hand.",
    )
    attempts: int = Field(
        default=0, ge=0, description="Number of such tests begun since the image last passed one."
    )
    start_time: Timestamp | None = Field(default=None, description="When the test began.")
    finish_time: Timestamp | None = Field(default=None, description="When its result was known.")
    next_test_time: Timestamp | None = Field(
        default=None, description="When the image is tested again; absent if it is not."
    )
    active_seconds: int | None = Field(
        default=None, ge=0, description="Seconds from the start until the server was ACTIVE."
    )
    report_seconds: int | None = Field(
        default=None, ge=0, description="Seconds from then until the guest reported."
    )
    addresses: Annotated[tuple[str, ...], Field(max_length=32)] | None = Field(
        default=None, description="The guest's addresses, with the lengths of their prefixes."
    )
    interfaces: Annotated[tuple[str, ...], Field(max_length=32)] | None = Field(
        default=None, description="The guest's network interfaces."
    )
    user: str | None = Field(default=None, description="The guest's user that the key lets in.")
    kernel: str | None = Field(default=None, description="The guest's kernel.")
    console_matched: bool = Field(
        default=False,
        description="Whether the console's text had a match of expect.consoleMatches. It stays so "
        "when that text is no longer among what the console keeps.",
    )
    cloud_init: str | None = Field(
        default=None, description="What cloud-init status says in the guest."
    )
