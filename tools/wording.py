"""Checks the words: prints each phrase of ``wording.txt`` in what users and developers read.

Read are the strings of the package, the docstrings and comments of all Python files, the pages of
docs/, the README, the changelog's unreleased part, the CRDs and the chart.
Usage: ``wording.py [ROOT]``.
"""

import ast
import itertools
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

LIST = Path(__file__).with_suffix(".txt")
PATTERNS = ("*.md", "docs/**/*.md", "bench/**/*.md", "crds/*.yaml", "helm/**/*")
CHANGELOG = "CHANGELOG.md"
SUFFIXES = {".md", ".yaml", ".json", ".tpl", ".txt"}
PACKAGE = "operator/cloudimage"
CODE = (PACKAGE, "tests", "bench", "tools")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def rules() -> list[tuple[re.Pattern[str], str]]:
    """Return each pattern and what to say instead; a space in a pattern is any white space."""
    lines = [line for line in LIST.read_text().splitlines() if line and line[0] != "#"]
    pairs = [line.split(" => ") for line in lines]
    # In comments of YAML and in Markdown's quotes, a line begins with a sign.
    gap = r"(?:\\s|\\n[ ]*[#>][ ])+"
    return [(re.compile(re.sub(" ", gap, pattern)), better) for pattern, better in pairs]


def texts(root: Path) -> Iterator[tuple[Path, int, str]]:
    """Yield each text with its file and the line where it begins."""
    for path in sorted(path for pattern in PATTERNS for path in root.glob(pattern)):
        if path.suffix in SUFFIXES and path.name != CHANGELOG:
            yield path, 1, path.read_text()
    changelog = root / CHANGELOG
    yield changelog, 1, re.split(r"\n## \[\d", changelog.read_text())[0]
    for folder in CODE:
        for path in sorted((root / folder).rglob("*.py")):
            yield from ((path, line, text) for line, text in comments(path))
            # Elsewhere a string may be what an image or a server says.
            found = strings(path) if folder == PACKAGE else docstrings(path)
            yield from ((path, line, text) for line, text in found)


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the docstrings and other strings of a module, without what is filled in."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the docstrings of a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node, clean=False)):
            yield node.body[0].lineno, text


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the comments of a module; comments on consecutive lines are one."""
    with tokenize.open(path) as file:
        tokens = tokenize.generate_tokens(file.readline)
        found = [(each.start[0], each.string) for each in tokens if each.type == tokenize.COMMENT]
    for _, group in itertools.groupby(enumerate(found), lambda each: each[1][0] - each[0]):
        block = [comment for _, comment in group]
        yield block[0][0], "\n".join(text for _, text in block)


def main(root: Path) -> int:
    """Print what was found; return the exit status."""
    found = 0
    for path, first, text in texts(root):
        for pattern, better in rules():
            for match in pattern.finditer(text):
                line = first + text.count("\n", 0, match.start())
                phrase = " ".join(match[0].split()).replace(" # ", " ")
                print(f'{path.relative_to(root)}:{line}: "{phrase}": say {better}')
                found += 1
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".")))
