"""The files of the repository that are made from its code: CRDs, the chart's copy, references.

Paths are relative to the repository's root.
"""

from pathlib import Path

from cloudimage.api.kinds import KINDS
from cloudimage.api.reasons import ConditionType, Reason, ShareCondition, ShareReason
from cloudimage.codegen import (
    catalogue_files,
    chart_readme,
    crd,
    metrics_page,
    reference,
    settings_page,
    troubleshooting_page,
)

CRDS = "crds"
CHART = "helm/cloudimage-operator"
CHART_CRDS = f"{CHART}/templates/crds"
REFERENCE = "docs/reference"
METRICS = "docs/metrics.md"
SETTINGS = "docs/settings.md"
CATALOGUE = "docs/catalogue.md"
TROUBLESHOOTING = "docs/troubleshooting.md"
VOCABULARIES = {
    "CloudImage": (ConditionType, Reason),
    "ImageShare": (ShareCondition, ShareReason),
}


def files() -> dict[str, str]:
    """Return the text of every file that is made from code alone, by its path."""
    crds = crd.render()
    pages = {
        f"{REFERENCE}/{kind.singular}.md": reference.render(kind, VOCABULARIES[kind.name])
        for kind in KINDS
    }
    return {
        **{f"{CRDS}/{name}": text for name, text in crds.items()},
        f"{CRDS}/kustomization.yaml": _kustomization(crds),
        **{f"{CHART_CRDS}/{name}": _chart_template(text) for name, text in crds.items()},
        **catalogue_files.files(),
        **pages,
        METRICS: metrics_page.render(),
        SETTINGS: settings_page.render(),
    }


def write(root: Path) -> None:
    """Write every generated file below the root, and remove those that are no longer made."""
    for path in _leftovers(root):
        path.unlink()
    for name, text in _all(root).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def stale(root: Path) -> list[str]:
    """Return the paths below the root that `write` would change, make or remove."""
    differing = [name for name, text in _all(root).items() if _text(root / name) != text]
    return sorted([*differing, *(str(path.relative_to(root)) for path in _leftovers(root))])


def _all(root: Path) -> dict[str, str]:
    """Return also what is made from other files below the root."""
    return {
        **files(),
        **chart_readme.files(root / CHART, CHART),
        **troubleshooting_page.files(root, TROUBLESHOOTING),
        **catalogue_files.page(root, CATALOGUE),
    }


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def _leftovers(root: Path) -> list[Path]:
    """Return files in the folders that hold nothing but generated ones: of a kind that is gone."""
    present = [path for folder in (CRDS, CHART_CRDS) for path in (root / folder).glob("*.yaml")]
    present += (root / catalogue_files.FOLDER).glob("*/*.yaml")
    made = files()
    return [path for path in present if str(path.relative_to(root)) not in made]


def _kustomization(crds: dict[str, str]) -> str:
    document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(crds),
    }
    return crd.HEADER + crd.dump(document)


def _chart_template(text: str) -> str:
    """Return a CRD as a template of the chart, since Helm never upgrades a chart's ``crds/``.

    The policy keeps it, and with it every object of its kind, when the release is uninstalled.
    """
    literal = text.replace("{{", '{{ "{{" }}')
    keep = "metadata:\n  annotations:\n    helm.sh/resource-policy: keep\n"
    return (
        "{{- if .Values.crds.install }}\n"
        + literal.replace("metadata:\n", keep, 1)
        + "{{- end }}\n"
    )
