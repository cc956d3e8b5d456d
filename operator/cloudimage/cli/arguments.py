"""Which objects the words of a command line mean."""

from collections.abc import Sequence
from dataclasses import dataclass

from cloudimage.api.kinds import CLOUD_IMAGE, IMAGE_SHARE, KINDS, Kind
from cloudimage.api.names import GROUP

_SHORT = {CLOUD_IMAGE.plural: ("image", "images"), IMAGE_SHARE.plural: ("share", "shares")}
"""Words that would mean something else to kubectl, but not here."""


@dataclass(frozen=True, slots=True)
class Target:
    """One object, or all of a kind.

    Attributes:
        name: None: all.
    """

    kind: Kind
    name: str | None


@dataclass(frozen=True, slots=True)
class Where:
    """Which cluster and namespace the options of a command mean, as kubectl takes them.

    Attributes:
        kubeconfig: One path or several, as in ``KUBECONFIG``; None: kubectl's default.
        context: In it; None: the current one.
        namespace: None: that of the context.
        everywhere: All namespaces.
    """

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    everywhere: bool = False


def targets(words: Sequence[str]) -> tuple[Target, ...]:
    """Return what the words mean, as kubectl takes them: ``[KIND] [NAME]...`` or ``KIND/NAME``.

    The kind may be left out, which kubectl does not allow: CloudImages are meant then, as the
    program's name says. A CloudImage that is named like a kind is ``cloudimage/NAME``.

    Raises:
        ValueError: A word before a slash is no kind of ours.
    """
    first = kind_named(words[0]) if words else None
    kind, names = (first, words[1:]) if first else (CLOUD_IMAGE, words)
    if not names:
        return (Target(kind, None),)
    return tuple(_target(word, kind) for word in names)


def kind_named(word: str) -> Kind | None:
    """Return the kind of that name, which may end with the group as ``kubectl -o name`` has it."""
    name = word.lower().removesuffix(f".{GROUP}")
    for kind in KINDS:
        if name in {kind.plural, kind.singular, *kind.short_names, *_SHORT[kind.plural]}:
            return kind
    return None


def _target(word: str, default: Kind) -> Target:
    before, slash, name = word.rpartition("/")
    if not slash:
        return Target(default, word)
    kind = kind_named(before)
    if kind is None or not name:
        known = ", ".join(each.singular for each in KINDS)
        raise ValueError(f"{word} is not KIND/NAME; the kinds are {known}")
    return Target(kind, name)
