"""What a sandbox's interpreter is started with, and the modules that it is then sent.

The modules go as code objects of this very interpreter, which saves each process from compiling
them: the sandbox trusts the judge, never the other way around.
"""

from __future__ import annotations

import marshal
from functools import cache
from importlib import resources

PACKAGE = __package__
SOURCE = """
import marshal, os, sys
def read(size):
    parts = []
    while size:
        part = os.read(0, size)
        if not part: os._exit(1)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
for name, code in marshal.loads(read(int.from_bytes(read(4), "big"))):
    module = type(sys)(name)
    sys.modules[name] = module
    exec(code, module.__dict__)
module.main()
"""


@cache
def modules(main: str) -> bytes:
    """The modules of a process whose `main` is that of `main`.py, as `SOURCE` reads them."""
    names = (PACKAGE, f"{PACKAGE}.wire", f"{PACKAGE}.frames", f"{PACKAGE}.{main}")
    parts = [(name, compile(_source(name), f"<{name}>", "exec", optimize=2)) for name in names]
    data = marshal.dumps(parts)
    return len(data).to_bytes(4, "big") + data


def _source(name: str) -> str:
    if name == PACKAGE:
        return ""  # the package itself, so that the others can be imported from it
    return (resources.files(PACKAGE) / f"{name.rpartition('.')[2]}.py").read_text("utf-8")
