"""Where numbers were taken: they mean nothing without it."""

import datetime
import os
import platform
import sys

from fastloss.measuring import environment, rivals


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


def available():
    """Bytes of memory that can be had without swapping; None where the system does not say."""
    try:
        with open("/proc/meminfo") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable")), None)
    except OSError:
        return None


def load():
    """What ran on the machine in the last minute, in CPUs; None where the system does not say."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def facts(names=None):
    """{"processor", "cpus", "threads", "system", "python", "date", "load", "fastloss": {...}, "versions": {rival: version}}.

    ``names`` are the rivals whose versions are told; None for all. ``load`` is what ran on the machine in the last minute: to be asked
    before measuring, for afterwards it is ourselves.
    """
    import fastloss

    ours = fastloss.info()
    return {
        "processor": processor(),
        "cpus": ours["cpus_allowed"],
        "threads": environment.threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load": load(),
        "date": datetime.date.today().isoformat(),
        "fastloss": {key: ours[key] for key in ("version", "backend", "isa", "bits")},
        "versions": {rivals.MODULES[name][1]: library.version() for name, library in rivals.libraries(names).items()},
    }


def busy(facts):
    """A warning if others were computing here, else "": OpenMP libraries suffer from that far more than their work explains."""
    if facts["load"] is None or facts["load"] <= 0.3 * facts["cpus"]:
        return ""
    return f"others were computing on this machine (load {facts['load']} on {facts['cpus']} CPUs): these numbers are not to be relied on"


def warn_if_busy(facts):
    if warning := busy(facts):
        print(warning, file=sys.stderr)


def sentence(facts):
    """The facts as one line under a table."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    own = facts["fastloss"]
    kernels = ", ".join(filter(None, (own["backend"], own["isa"])))
    threads = f"{facts['threads']} thread{'s' * (facts['threads'] != 1)}"
    return (
        f"{facts['processor']}, {facts['cpus']} CPUs, {threads}, {facts['system']}, Python {facts['python']}, "
        f"fastloss {own['version']} ({kernels}){', ' * bool(versions)}{versions}; {facts['date']}."
        + (f" Note: {warning}." if (warning := busy(facts)) else "")
    )
