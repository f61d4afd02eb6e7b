"""Where numbers were taken: they mean nothing without it."""

import datetime
import os
import platform
import sys

from benchmarks import THREADS
from benchmarks.rivals import libraries


def processor():
    """The processor's own name."""
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def facts():
    """{"processor", "cpus", "threads", "system", "python", "date", "load", "fastloss": {...}, "versions": {package: version}}.

    ``load`` is what ran on the machine in the last minute: to be asked before measuring, for afterwards it is ourselves.
    """
    import fastloss

    ours = fastloss.info()
    return {
        "processor": processor(),
        "cpus": ours["cpus_allowed"],
        "threads": THREADS,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
        "date": datetime.date.today().isoformat(),
        "fastloss": {key: ours[key] for key in ("version", "backend", "isa", "bits")},
        "versions": {name: module.version() for name, module in libraries().items()},
    }


def warn_if_busy(facts):
    """Say so on stderr if others are computing here: OpenMP libraries suffer from that far more than their work explains."""
    if facts["load"] > 0.3 * facts["cpus"]:
        print(f"this machine is busy (load {facts['load']} on {facts['cpus']} CPUs): do not publish these numbers", file=sys.stderr)


def sentence(facts):
    """The facts as one line under a table."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    own = facts["fastloss"]
    return (
        f"{facts['processor']}, {facts['cpus']} CPUs, {facts['threads']} threads, {facts['system']}, Python {facts['python']}, "
        f"fastloss {own['version']} ({own['backend']}, {own['isa']}), {versions}; {facts['date']}."
    )
