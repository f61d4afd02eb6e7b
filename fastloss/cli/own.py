"""Losses of the user's own on the command line: module:Name, or path.py:Name, with parameters as elsewhere: mylosses:Cauchy:scale=2."""

import importlib
import importlib.util
import os
import re
import sys
import traceback
from pathlib import Path

import click

OWN = re.compile(r"(?P<module>[\w.]+|.*\.py):(?P<name>[A-Za-z_][\w.]*)(?::(?P<parameters>.*))?", re.DOTALL)
NO_CODE = "names a Python module, which is run: that is taken from the command line and the environment, and from no file"


def named(ctx, parameter, specs):
    """The callback of --loss, and of arguments that are losses: specs, with what stands in modules by the names that it has once the
    module is imported."""
    if not isinstance(specs, tuple):
        return specs and named(ctx, parameter, (specs,))[0]
    found = []
    for spec in specs:
        match = OWN.fullmatch(spec)
        if match and ctx.get_parameter_source(parameter.name) is click.core.ParameterSource.DEFAULT_MAP:
            raise click.BadParameter(f"{spec!r} {NO_CODE}", ctx, parameter)
        found.append(resolved(**match.groupdict()) if match else spec)
    return tuple(found)


loss_option = click.option(
    "--loss", "-l", "losses", metavar="SPEC", multiple=True, callback=named,
    help="A loss, as mse, huber:delta=2 or mymodule:MyLoss; may be repeated.",
)  # fmt: skip


def resolved(module, name, parameters):
    """The spec of a loss in a module. click.UsageError says what is missing."""
    import fastloss as fl
    from fastloss.losses import ALIASES

    try:
        value = imported(module)
    except ModuleNotFoundError as error:
        if module.lower() in ALIASES:
            raise click.UsageError(f"cannot read {name!r} in '{module}:{name}': parameters are name=value, as in huber:delta=2") from error
        raise click.UsageError(
            f"{module}:{name}: {error}; modules are looked for here, in {os.getcwd()}, and where Python's are"
        ) from error
    except (TypeError, ValueError) as error:  # a formula that is refused, above all
        raise click.UsageError(f"{module} cannot be imported: {error}") from error
    except click.UsageError:
        raise
    except Exception as error:  # the module's own
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = "" if isinstance(error, SyntaxError) else f" ({last.filename}:{last.lineno})"  # that names it itself
        raise click.UsageError(f"{module} cannot be imported: {type(error).__name__}: {error}{where}") from error
    try:
        for part in name.split("."):
            value = getattr(value, part)
    except AttributeError as error:
        raise click.UsageError(f"{module} has no {name}") from error
    if not (isinstance(value, type) and issubclass(value, fl.Loss) and value.definition is not None):
        raise click.UsageError(f"{module}:{name} is no loss: define it with @fl.loss")
    return value.definition.name + (f":{parameters}" if parameters else "")


def imported(module):
    """A module by its name, looked for in the working directory first, or by the path of its file."""
    if not module.endswith(".py"):
        if os.getcwd() not in sys.path and "" not in sys.path:
            sys.path.insert(0, os.getcwd())
        return importlib.import_module(module)
    path = Path(module)
    if not path.is_file():
        raise click.UsageError(f"there is no file {module}")
    found = importlib.util.spec_from_file_location(path.stem, path)
    made = importlib.util.module_from_spec(found)
    known = sys.modules.setdefault(path.stem, made)
    try:
        found.loader.exec_module(made)
    except BaseException:
        if known is made:
            sys.modules.pop(path.stem, None)
        raise
    return made
