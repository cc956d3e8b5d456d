"""Lets pages of docs/ link to files elsewhere in the repository, and the site follow.

On a Git host such a link just works. The site has only what is in docs/, so each file outside it
that a page links to becomes a page as well: Markdown as it is, any other text as a listing, and a
folder as a listing of its files. They keep their places, with docs/ taken away: docs/sharing.md is
/sharing/, manifests/samples is /manifests/samples/. A folder's README.md is its page. What is
linked to and not there is left to MkDocs, which complains of it.

MkDocs calls the two public functions: https://www.mkdocs.org/user-guide/configuration/#hooks
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[1]
DOCS: Final = "docs"
_LINK: Final = re.compile(r"\]\((?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for everything outside docs/ that pages link to, directly or by such a page."""
    waiting = [(each.content_string, each.src_uri) for each in files.documentation_pages()]
    while waiting:
        text, uri = waiting.pop()
        for path in _outside(text, _folder(uri, files)):
            if files.get_file_from_path(_site_uri(path)) is None:
                content = _content(ROOT / path)
                files.append(
                    File.generated(
                        config,
                        _site_uri(path),
                        content=content,
                        inclusion=InclusionLevel.NOT_IN_NAV,
                    )
                )
                waiting.append((content, _site_uri(path)))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: object) -> str:
    """Return the page with its links out of docs/ leading to the pages made for them."""
    uri = page.file.src_uri
    folder = _folder(uri, files)

    def turned(link: re.Match[str]) -> str:
        path = _repository_path(folder, link["target"])
        if not _has_page(path):
            return link[0]
        target = posixpath.relpath(_site_uri(path), posixpath.dirname(uri) or ".")
        return f"]({target}{link['anchor'] or ''})"

    return _LINK.sub(turned, markdown)


def _outside(text: str, folder: str) -> Iterator[str]:
    """Yield the repository's paths outside docs/ that a text in a folder links to."""
    for link in _LINK.finditer(text):
        path = _repository_path(folder, link["target"])
        if _has_page(path) and not _is_in_docs(path):
            yield path


def _has_page(path: str) -> bool:
    """Return whether the site has a page for a path; files of docs/ without a page stay links."""
    if _is_in_docs(path):
        return path.endswith(".md") and (ROOT / path).is_file()
    return not path.startswith("..") and (ROOT / path).exists()


def _folder(uri: str, files: Files) -> str:
    """Return the repository's folder that a page's links begin from."""
    page = files.get_file_from_path(uri)
    is_ours = page is not None and page.generated_by is not None
    return posixpath.join("" if is_ours else DOCS, posixpath.dirname(uri))


def _repository_path(folder: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(folder, target))


def _is_in_docs(path: str) -> bool:
    return path == DOCS or path.startswith(f"{DOCS}/")


def _site_uri(path: str) -> str:
    """Return which source file of the site a path of the repository is."""
    if _is_in_docs(path):
        return path.removeprefix(f"{DOCS}/")
    if (ROOT / path / "README.md").exists():
        return f"{path}/README.md"
    if (ROOT / path).is_dir():
        return f"{path}/index.md"
    return path if path.endswith(".md") else f"{path}.md"


def _content(path: Path) -> str:
    """Return the Markdown of the page for a file or a folder."""
    if (path / "README.md").exists():
        path /= "README.md"
    if path.suffix == ".md":
        return path.read_text()
    title = f"# {path.relative_to(ROOT)}"
    if path.is_file():
        return f"{title}\n\n{_listing(path)}"
    entries = sorted(path.iterdir())
    folders = "\n".join(f"- [{each.name}/]({each.name})" for each in entries if each.is_dir())
    texts = (f"## {each.name}\n\n{_listing(each)}" for each in entries if each.is_file())
    return "\n\n".join((title, folders, *texts))


def _listing(path: Path) -> str:
    return f"````{path.suffix.removeprefix('.')}\n{path.read_text()}````"
