"""What an agent's or a dataset's code is: a digest of its modules, so that edited code does not mix."""

import ast
import hashlib
import inspect
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

__all__ = ["code_digest"]

#: Tokens that change nothing.
_SILENT = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING}
_LAYOUT = {tokenize.NEWLINE: "\n", tokenize.INDENT: "\n>", tokenize.DEDENT: "\n<", tokenize.ENDMARKER: ""}


def code_digest(cls: type) -> str:
    """A digest of the module that defines a class, and of what it imports from the same folder.

    Comments, docstrings and the breaking of lines play no part. Of a class that has no file, as in a
    notebook, it is that of its own text.
    """
    module = sys.modules[cls.__module__]
    file = getattr(module, "__file__", None)
    if file is None or module.__package__ in (None, ""):
        try:
            return _digest([inspect.getsource(cls)])
        except (OSError, TypeError):  # typed in, or made by type()
            return "unknown"
    files = sorted(_imported(Path(file)))
    return _digest([f"{path.name}\n{_meaning(path.read_text(encoding='utf-8'))}" for path in files])


def _digest(texts: list[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _imported(file: Path) -> set[Path]:
    """A module's file and those of the same folder that it imports, directly or through others."""
    found, left = set(), [file]
    while left:
        path = left.pop()
        if path not in found:
            found.add(path)
            beside = [file.parent / f"{name}.py" for name in _names(path)]
            left += [module for module in beside if module.exists()]
    return found


def _names(file: Path) -> Iterator[str]:
    """The modules of its own folder that a file imports: `scores` of `from . import scores`."""
    package = file.parent.name
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = f"{package}." * (node.level == 1) + (f"{node.module}." if node.module else "")
            modules = [base + alias.name for alias in node.names]
        else:
            continue
        # What comes behind the module's name is a name in it.
        yield from (module.split(".")[1] for module in modules if module.startswith(f"{package}."))


def _meaning(source: str) -> str:
    """The source without comments, docstrings and white space; indentation stays."""
    texts: list[str] = []
    statement: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in _LAYOUT:
            if not (len(statement) == 1 and statement[0].type == tokenize.STRING):
                texts += ["".join(one.string.split()) for one in statement]
            statement = []
            texts.append(_LAYOUT[token.type])
        elif token.type not in _SILENT:
            statement.append(token)
    return "\n".join(line for line in "".join(texts).splitlines() if line)
