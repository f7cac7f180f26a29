"""``python -m workers.agent.build TARGET``: the agent as one file that runs on any Python from 3.9 on.

pynvml goes in from the environment at hand, cut down to what is called.
"""

from __future__ import annotations

import importlib.metadata
import sys
import tempfile
import zipapp
from pathlib import Path

from workers.agent.trim import asked_of, trimmed

HERE = Path(__file__).resolve().parent
TOOLS = frozenset({"build.py", "trim.py"})  # they build, and stay behind
KEPT = ("NVML_ERROR_", "NVML_SUCCESS", "NVMLError")  # pynvml makes its exceptions of these
START = "import sys\nfrom workers.agent.__main__ import main\nsys.exit(main())\n"


def build(target: Path) -> Path:
    """Write the single file; the same sources give the same contents."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = folder / "workers" / "agent"
        package.mkdir(parents=True)
        (folder / "workers" / "__init__.py").touch()
        for path in modules():
            (package / path.name).write_bytes(path.read_bytes())
        _add_pynvml(folder)
        (folder / "__main__.py").write_text(START, encoding="ascii")
        zipapp.create_archive(folder, target, interpreter="/usr/bin/env python3", compressed=True)
    return target


def modules() -> list[Path]:
    """What belongs to the agent."""
    return sorted(path for path in HERE.glob("*.py") if path.name not in TOOLS)


def _add_pynvml(folder: Path) -> None:
    """pynvml, and whose it is."""
    found = importlib.metadata.distribution("nvidia-ml-py")
    source = Path(str(found.locate_file("pynvml.py"))).read_text(encoding="utf-8")
    licence = source[: source.index("##\n", 5) + 3] if source.startswith("####") else ""
    notice = f"# From nvidia-ml-py {found.version}, without the functions that the agent does not call.\n"
    text = trimmed(source, asked_of("nvml", modules()), KEPT)
    (folder / "pynvml.py").write_text(licence + notice + text, encoding="utf-8")


if __name__ == "__main__":
    sys.stdout.write(f"{build(Path(sys.argv[1]))}\n")
