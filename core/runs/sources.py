"""What an agent's or a dataset's code is: a digest, so that runs of edited code do not mix in a folder."""

import ast
import hashlib
import inspect
import sys
import textwrap

__all__ = ["code_digest"]

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_digest(cls: type) -> str:
    """A digest of the module that defines a class: of its syntax tree without docstrings.

    Comments and formatting play no part, nor does what the module imports. Another minor version of Python
    may give another digest: its runs are refused in an old folder, which is the safe side.

    Of a class that has no file, as in a notebook, it is that of its functions; `unknown` if these have no
    source either.
    """
    module = sys.modules[cls.__module__]
    has_file = getattr(module, "__file__", None)
    parts = [module] if has_file else [part for part in vars(cls).values() if inspect.isfunction(part)]
    try:
        source = "\n".join(textwrap.dedent(inspect.getsource(part)) for part in parts)
        tree = ast.parse(source)
    except (OSError, SyntaxError):  # no source, or part of a longer statement
        return "unknown"
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12] if parts else "unknown"
