"""What is to be done to an image, as a transfer's request has it."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import Field

from cloudimage.transfer.contract import Model, Reason, Texts, TransferError
from cloudimage.vocabulary.sysprep import SysprepOperation

_NOT_TEXT: Final = "\ufffd"
"""What stands for bytes that are no UTF-8, where a text is read from a mounted volume."""

Files = Mapping[str, str]


class Texted(Model):
    """A step with files whose content is in the spec, or in a Secret or a ConfigMap.

    Attributes:
        reference: What the texts are found by; None: the spec has the content.
        files: The content, by the name of the key; ``text`` for a single one.
        secret: Whether the content is a Secret's, and must be shown nowhere.
    """

    reference: str | None = None
    files: Files = Field(default_factory=dict, repr=False)
    secret: bool = False

    def with_texts(self, texts: Texts) -> Self:
        """Return the step with the content of what it refers to.

        Raises:
            TransferError: ``InvalidCredentials``: it is not there.
        """
        if self.reference is None:
            return self
        if self.reference not in texts:
            raise TransferError(
                Reason.INVALID_CREDENTIALS,
                f"the Secret or ConfigMap of spec.customize.steps[{self.reference.split('-')[-1]}] "
                "cannot be read: No such file",
            )
        return self.model_copy(update={"files": dict(texts[self.reference])})

    def without_texts(self) -> Self:
        """Return the step without what it refers to."""
        return self if self.reference is None else self.model_copy(update={"files": {}})


class InstallPackages(Model):
    """Packages to install."""

    type: Literal["installPackages"] = "installPackages"
    packages: tuple[str, ...]


class Update(Model):
    """An update of all packages."""

    type: Literal["update"] = "update"


class Run(Texted):
    """A script."""

    type: Literal["run"] = "run"


class WriteFile(Texted):
    """A file."""

    type: Literal["writeFile"] = "writeFile"
    path: str
    mode: str
    owner: str | None = None


class CopyIn(Texted):
    """A folder of files."""

    type: Literal["copyIn"] = "copyIn"
    directory: str
    mode: str


class AppendLine(Model):
    """A line at the end of a file."""

    type: Literal["appendLine"] = "appendLine"
    path: str
    line: str


class Timezone(Model):
    """A time zone."""

    type: Literal["timezone"] = "timezone"
    name: str


class HostnameReset(Model):
    """A host name that is nobody's."""

    type: Literal["hostnameReset"] = "hostnameReset"


class EnableServices(Model):
    """Units that start with the server."""

    type: Literal["enableServices"] = "enableServices"
    units: tuple[str, ...]


class DisableServices(Model):
    """Units that do not start with the server."""

    type: Literal["disableServices"] = "disableServices"
    units: tuple[str, ...]


class Sysprep(Model):
    """What belongs to one machine and goes."""

    type: Literal["sysprep"] = "sysprep"
    operations: tuple[SysprepOperation, ...]


class GrowRoot(Model):
    """A larger disk, which the root file system fills; the first step, where it is one.

    Attributes:
        gib: The disk's size.
    """

    type: Literal["growRoot"] = "growRoot"
    gib: int


class SelinuxRelabel(Model):
    """Labels of SELinux."""

    type: Literal["selinuxRelabel"] = "selinuxRelabel"


Step = (
    InstallPackages
    | Update
    | Run
    | WriteFile
    | CopyIn
    | AppendLine
    | Timezone
    | HostnameReset
    | EnableServices
    | DisableServices
    | Sysprep
    | GrowRoot
    | SelinuxRelabel
)


class Customize(Model):
    """What is to be done to an image.

    Attributes:
        network: Whether steps may reach servers, as the URL policy allows.
        sparsify: Give back unused blocks.
        compress: Compress the clusters of what stays qcow2.
    """

    steps: tuple[Annotated[Step, Field(discriminator="type")], ...] = ()
    network: bool = False
    sparsify: bool = False
    compress: bool = False

    @property
    def disk_size(self) -> int | None:
        """Bytes that the disk is to have; None: as many as it has."""
        first = self.steps[0] if self.steps else None
        return first.gib * 2**30 if isinstance(first, GrowRoot) else None

    def with_texts(self, texts: Texts) -> Self:
        """Return it with what Secrets and ConfigMaps say; it may hold secrets then.

        Raises:
            TransferError: As for :meth:`Texted.with_texts`.
        """
        steps = (
            each.with_texts(texts) if isinstance(each, Texted) else each for each in self.steps
        )
        return self.model_copy(update={"steps": tuple(steps)})

    def without_texts(self) -> Self:
        """Return it without them."""
        steps = (each.without_texts() if isinstance(each, Texted) else each for each in self.steps)
        return self.model_copy(update={"steps": tuple(steps)})

    def check_texts(self) -> None:
        """Refuse what would not come into the image as it is.

        Raises:
            TransferError: ``CustomizeFailed``: a file is not text.
        """
        for number, step in enumerate(self.steps, 1):
            files = step.files if isinstance(step, Texted) else {}
            wrong = next((key for key, text in files.items() if _NOT_TEXT in text), None)
            if wrong is not None:
                raise TransferError(
                    Reason.CUSTOMIZE_FAILED,
                    f"step {number} of spec.customize refers to a file that is not text in UTF-8 "
                    f"(key {wrong}): put it into the image by a package, or encoded and with a "
                    "script that decodes it",
                )

    def has_secret(self, count: int) -> bool:
        """Return whether any of the first so many steps brings a Secret into the image."""
        return any(isinstance(each, Texted) and each.secret for each in self.steps[:count])
