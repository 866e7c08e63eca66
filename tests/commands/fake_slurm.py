"""SLURM's commands for tests without a cluster: jobs run on this machine as they are submitted.

`install(folder)` writes them; each is this file under the name of a command. The folder's files set
the behavior: `config` is what `scontrol show config` prints, `down` (if there) makes every query
fail, `refusals` counts the submissions that still fail. `jobs/<id>/` has arguments and state.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONFIG = "AccountingStorageType = accounting_storage/none\nMinJobAge = 300 sec\n"
COMMANDS = ("sbatch", "squeue", "sacct", "scontrol", "srun", "scancel", "sinfo", "sacctmgr")
LOST = "Unable to contact slurm controller (connect failure)"


def install(folder: Path) -> Path:
    """The folder that belongs on PATH."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    (folder / "jobs").mkdir()
    (folder / "config").write_text(CONFIG, "utf-8")
    for name in COMMANDS:
        path = programs / name
        path.write_text(f"#!{sys.executable}\n" + Path(__file__).read_text("utf-8"), "utf-8")
        path.chmod(0o755)
    return programs


def value(arguments: list[str], option: str) -> str:
    """The value of an option, given as two words or with an equals sign."""
    for number, word in enumerate(arguments):
        if word == option:
            return arguments[number + 1]
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return ""


def submit(folder: Path, arguments: list[str]) -> int:
    """Run a job to its end and print its number."""
    refusals = folder / "refusals"
    left = int(refusals.read_text() or 0) if refusals.exists() else 0
    if left:
        refusals.write_text(str(left - 1))
        print(f"sbatch: error: Batch job submission failed: {LOST}", file=sys.stderr)
        return 1
    number = len(list((folder / "jobs").iterdir())) + 1
    job = folder / "jobs" / str(number)
    job.mkdir()
    (job / "arguments").write_text("\n".join(arguments), "utf-8")
    (job / "name").write_text(value(arguments, "--job-name"), "utf-8")
    (job / "comment").write_text(value(arguments, "--comment"), "utf-8")
    (job / "state").write_text("PENDING", "utf-8")
    command = value(arguments, "--wrap")
    if command:
        log = Path(value(arguments, "--output").replace("%j", str(number)))
        environment = {"SLURM_JOB_ID": str(number)}
        with log.open("wb") as file:
            import os

            done = subprocess.run(
                command, shell=True, env=os.environ | environment, stdout=file, stderr=file
            )
        (job / "state").write_text("FAILED" if done.returncode else "COMPLETED", "utf-8")
    print(number)
    return 0


def queue(folder: Path, arguments: list[str]) -> int:
    """The jobs of a name in the asked format."""
    wanted = value(arguments, "--states")
    for job in sorted((folder / "jobs").iterdir(), key=lambda path: int(path.name)):
        state = (job / "state").read_text()
        if (job / "name").read_text() != value(arguments, "--name"):
            continue
        if wanted != "all" and state not in wanted:
            continue
        text = value(arguments, "--format").replace("%i", job.name).replace("%T", state)
        print(text.replace("%k", (job / "comment").read_text()))
    return 0


def main(program: Path, arguments: list[str]) -> int:
    """One command."""
    folder = program.parent.parent
    if program.name == "srun":
        while arguments and arguments[0].startswith("-"):
            arguments = arguments[1:]
        return subprocess.run(arguments).returncode
    if (folder / "down").exists():
        print(f"{program.name}: error: {LOST}", file=sys.stderr)
        return 1
    match program.name:
        case "sbatch":
            return submit(folder, arguments)
        case "squeue":
            return queue(folder, arguments)
        case "scontrol":
            print((folder / "config").read_text("utf-8"))
        case "sacct":
            print("Slurm accounting storage is disabled", file=sys.stderr)
            return 1
        case "sinfo":
            print("cpu*\ngpu")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[0]).resolve(), sys.argv[1:]))
