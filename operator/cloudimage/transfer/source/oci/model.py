"""A disk in a registry's image, as a transfer's request has it."""

from typing import Final, Literal, Self

from pydantic import Field

from cloudimage.transfer.contract import TEXT, Source, Texts, text_of
from cloudimage.vocabulary.oci import DEFAULT_ARCHITECTURE, ImageName, parse

PULL_SECRET: Final = "pull-secret"  # noqa: S105  # the name of a reference
CA: Final = "ca"
"""Names of the references that a source of this kind may have."""

DOCKER_CONFIG: Final = ".dockerconfigjson"
"""The key of a Secret of the type ``kubernetes.io/dockerconfigjson``."""


class OciSource(Source):
    """A disk in an image of a registry.

    Attributes:
        image: The image, as a pod has it.
        digest: Of its manifest or index, where it is not in ``image``.
        path: Which of its files is meant; None: the only disk.
        architecture: Which image of an index is meant.
        docker_config: What the pull Secret says; None: no Secret is given.
        ca_certificate: PEM text that the registry's TLS is verified with.
    """

    type: Literal["oci"] = "oci"
    image: str
    digest: str | None = None
    path: str | None = None
    architecture: str = DEFAULT_ARCHITECTURE
    docker_config: str | None = Field(default=None, repr=False)
    ca_certificate: str | None = None

    @property
    def name(self) -> ImageName:
        """What the image's name says.

        Raises:
            ValueError: It is no such name.
        """
        return parse(self.image, self.digest)

    def with_texts(self, texts: Texts) -> Self:
        """Return the source with its pull Secret and its certificate.

        Raises:
            TransferError: ``InvalidCredentials`` if a text is missing.
        """
        config = texts[PULL_SECRET].get(TEXT, "") if PULL_SECRET in texts else None
        return self._with(config, text_of(texts, CA) if CA in texts else None)

    def without_texts(self) -> Self:
        """Return the source without them."""
        return self._with(None, None)

    def _with(self, docker_config: str | None, ca_certificate: str | None) -> Self:
        update = {"docker_config": docker_config, "ca_certificate": ca_certificate}
        return self.model_copy(update=update)
