"""Options from a file or the environment: flags before FASTLOSS_EVAL_..., before --config or pyproject.toml, before defaults."""

import tomllib
from pathlib import Path

import click


def load(ctx, _parameter, path):
    """Make what the file says of this command the defaults of its options."""
    if ctx.resilient_parsing:
        return
    found = Path(path) if path else next((place for place in places() if tables(place, ctx.info_name) is not None), None)
    if found is None:
        return
    given = tables(found, ctx.info_name)
    if given is None:
        raise click.UsageError(f"{found} has no table [tool.fastloss.{ctx.info_name}], nor [{ctx.info_name}]")
    names = {}
    for parameter in ctx.command.params:
        for name in (parameter.name, *(option.lstrip("-") for option in parameter.opts + parameter.secondary_opts)):
            if len(name) > 1 and parameter.expose_value:
                names[name.replace("-", "_")] = parameter
    ctx.default_map = dict(ctx.default_map or {})
    for key, value in given.items():
        parameter = names.get(key.replace("-", "_"))
        if parameter is None:
            known = sorted({option.lstrip("-") for parameter in names.values() for option in parameter.opts if option.startswith("--")})
            raise click.UsageError(f"{found}: {key!r} is no option of fastloss {ctx.info_name}; there are files, {', '.join(known)}")
        ctx.default_map[parameter.name] = checked(found, key, value, parameter)


def checked(path, key, value, parameter):
    """The value as click takes a default, or UsageError where it has another form than the option."""
    many = parameter.multiple or parameter.nargs == -1
    if getattr(parameter, "is_flag", False):
        allowed, fine = "true or false", isinstance(value, bool)
    else:
        one = isinstance(value, str | int | float) and not isinstance(value, bool)
        fine = one or (many and isinstance(value, list) and all(isinstance(item, str | int | float) for item in value))
        allowed = "text, a number or a list of them" if many else "text or a number"
    if not fine:
        raise click.UsageError(f"{path}: {key!r} must be {allowed}, got {value!r}")
    if many:
        return [str(item) for item in (value if isinstance(value, list) else [value])]
    return value if isinstance(value, bool) else str(value)


def places():
    """pyproject.toml here, or in the nearest folder above that has one."""
    here = Path.cwd()
    return [place for folder in (here, *here.parents) if (place := folder / "pyproject.toml").is_file()][:1]


def tables(path, command):
    """The command's table of a file, or None. UsageError if the file cannot be read."""
    try:
        whole = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.UsageError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:  # of TOML, or of UTF-8
        raise click.UsageError(f"{path} is not TOML: {error}") from error
    for table in (whole.get("tool", {}).get("fastloss", {}), whole):
        if isinstance(table, dict) and isinstance(table.get(command), dict):
            return table[command]
    return None


def environment(command):
    """The command, whose options have variables: FASTLOSS_EVAL_MAX_SEGMENTS is --max-segments of eval."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.expose_value:
            name = next(option for option in parameter.opts if option.startswith("--"))
            parameter.envvar = f"FASTLOSS_{command.callback.__module__.rpartition('.')[2]}_{name[2:].replace('-', '_')}".upper()
    return command


config_option = click.option(
    "--config", metavar="FILE", is_eager=True, expose_value=False, callback=load, type=click.Path(dir_okay=False),
    envvar="FASTLOSS_CONFIG", help="Options from [tool.fastloss.eval] of a TOML file; by default of pyproject.toml, if it has it.",
)  # fmt: skip
