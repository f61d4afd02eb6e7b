"""Which columns a role means where a loss takes rows of C numbers: a pattern, a list of names, or one column that holds rows."""

import os
import re
from collections.abc import Iterable
from difflib import get_close_matches

from fastloss.evaluation.errors import SourceError
from fastloss.evaluation.source import SHOWN, Want, is_file, label_value, place_of

LENGTH = 80  # of a name in messages
ROLES = {"y_true": "target", "y_pred": "prediction", "sample_weight": "weight"}
DASHED = {"y_true": "y", "y_pred": "p", "sample_weight": "w"}
TEXTS = tuple(f".{kind}{packed}" for kind in ("csv", "tsv") for packed in ("", ".gz", ".zst"))
FORMS = "rows are a pattern of columns ('logit_*'), a list of names (a,b,c), a column of lists, a 2-D member of a .npz, or a 2-D .npy file"


def listed(role, given):
    """What is given for a role, as a list of names: text is split at commas, unless it is a file."""
    if not isinstance(given, str | os.PathLike):
        names = list(given) if isinstance(given, Iterable) and not isinstance(given, set | frozenset | dict) else []
        if not names or not all(isinstance(name, str | os.PathLike) for name in names):
            raise SourceError(f"`{ROLES[role]}` must name columns, got {given!r}; {FORMS}")
        return list(map(os.fspath, names))
    given = os.fspath(given)
    return [given] if is_file(given) and os.path.exists(given) else given.split(",")


def remedy(source, role, name):
    """What to do about a column that is not there: a name near it, or how the right one is given."""
    if near := nearest(name, source.names):
        return near
    if str(source.path).lower().endswith(TEXTS):
        if any(mark in one for one in source.names for mark in ";\t|"):
            return "; fields must be separated by commas (.csv) or tabs (.tsv)"
        if all(map(is_number, source.names)):
            return "; a header line with the columns' names must come first"
    return given_as(role)


def given_as(role):
    """How the column of a role is given."""
    option = ROLES[role]
    return f"; name the {option}'s: {option}=... (--{option}, -{DASHED[role]})"


def nearest(name, names):
    """A hint at the name that is likely to be meant, or nothing."""
    near = get_close_matches(name, list(names), n=1, cutoff=0.7)
    return f"; did you mean {near[0]!r}?" if near else ""


def natural(text):
    """A key that puts 2 before 10."""
    return [int(part) if i % 2 else part for i, part in enumerate(re.split(r"([0-9]+)", text))], text


def row_wants(source, role, given, taken):
    """(wants, what the pattern's * matched, or None) of a role that reads rows. ``taken``: columns of other roles, never matched."""
    names = dict.fromkeys(source.names)
    stars = None
    chosen = [given] if isinstance(given, str) and given in names else listed(role, given)
    if len(chosen) == 1 and chosen[0] not in names and "*" in chosen[0]:
        stars = matched(chosen[0], [name for name in names if name not in taken])
        if len(stars) < 2:
            found = f"one column alone, {next(iter(stars.values()))!r}" if stars else f"no column; it has {shown(names)}"
            raise SourceError(f"{source.path}: the pattern {chosen[0]!r} matches {found}; {FORMS}")
        chosen = list(stars.values())
    if len(set(chosen)) < len(chosen):
        twice = next(name for name in chosen if chosen.count(name) > 1)
        raise SourceError(f"the column {twice!r} is named twice for the {ROLES[role]}")
    wants = []
    for name in chosen:
        if name not in names:
            raise SourceError(f"{source.path} has no column {name!r}; it has {shown(names)}{remedy(source, role, name)}; {FORMS}")
        column, where = source.column(name), place_of(source, name)
        if column.kind not in ("number", "bool"):
            raise SourceError(f"{where} must hold numbers, got {column.type}")
        if column.width is not None and len(chosen) > 1:
            raise SourceError(f"{where} holds rows of {column.width} numbers, and is not one of several columns")
        if column.width is None and len(chosen) == 1:
            raise SourceError(f"{where} is one number per row; the {ROLES[role]} of a loss of rows has 2 or more: {FORMS}")
        if column.width is not None and column.width < 2:
            raise SourceError(f"{where} holds rows of {column.width} number{'s' * (column.width != 1)}; 2 or more are needed")
        wants.append(Want(role, name, width=column.width))
    return wants, list(stars) if stars else None


def matched(pattern, names):
    """{what * matched: name}, in natural order."""
    if pattern.count("*") > 1:
        raise SourceError(f"a pattern of columns has one *, which stands for the class, got {pattern!r}")
    before, after = pattern.split("*")
    fits = [name for name in names if name.startswith(before) and name.endswith(after) and len(name) >= len(before) + len(after)]
    found = {name[len(before) : len(name) - len(after)]: name for name in fits}
    return {star: found[star] for star in sorted(found, key=natural)}


def shown(names):
    """Names, for messages: of many the first, of long ones the beginning, and no signs that would command a terminal."""
    names = list(names)
    short = (name if len(name) <= LENGTH else name[:LENGTH] + "..." for name in names[:SHOWN])
    told = ["".join(sign if sign.isprintable() else "?" for sign in name) for name in short]
    return ", ".join(told) + (", ..." if len(names) > SHOWN else "") or "none"


def label_want(source, name, classes, stars):
    """(Want of a column of labels, the classes that it is read by or None). Text is looked up in ``classes``, or in what a pattern's *
    matched; numbers in ``classes`` if these are numbers, else they are class numbers, and the classes are their names."""
    if name not in source.names:
        raise SourceError(f"{source.path} has no column {name!r}; it has {shown(source.names)}{remedy(source, 'y_true', name)}")
    column, where = source.column(name), place_of(source, name)
    if column.width is not None or column.kind == "other":
        found = column.type if column.width is None else f"rows of {column.width} numbers"
        raise SourceError(f"{where} must hold one label per row, a class number or text, got {found}")
    if column.kind == "text":
        if not (classes or stars):
            raise SourceError(f"{where} holds {column.type}; list all classes in the order of the prediction's columns: {REMEDY}")
        return Want("y_true", name, label=tuple(map(str, classes or stars))), classes or stars
    if classes is None:
        return Want("y_true", name), None
    values, words = [], []
    for label in classes:
        try:
            values.append(label_value(label, column, where))
        except SourceError:
            words.append(label)
    if words and values:
        raise SourceError(f"{where} holds {column.type}; `classes` must be its values, or names of 0 to C - 1, got {words[0]!r}")
    if words:
        return Want("y_true", name), None
    if len(set(values)) < len(values):
        raise SourceError(f"`classes` must differ, and do not as {column.type}: {', '.join(map(str, classes))}")
    return Want("y_true", name, places=tuple(values)), classes


def ordered(source, name, wants, stars, classes):
    """(wants, stars) of a prediction in the order of the class numbers, where columns have names that say it. SourceError where the names
    of a pattern's columns say something else than the labels in ``name``, or too little; a list of columns is in order by itself."""
    kind, columns = source.column(name).kind, [want.name for want in wants]
    words = list(map(plain, stars or truths(columns)))
    if kind == "bool" and classes is None and sorted(words) == ["false", "true"]:
        classes = ["false", "true"]
    elif stars is None:
        return wants, None
    if classes is not None and sorted(words) == sorted(map(plain, classes)):
        order = [words.index(plain(label)) for label in classes]
        return [wants[i] for i in order], stars and [stars[i] for i in order]
    numbers = all(star.isdecimal() for star in stars)
    from_0 = numbers and list(map(int, stars)) == list(range(len(stars)))
    here = columns if numbers else sorted(columns, key=source.names.index)  # as the file has them, which may be their order
    lists = f"list the columns in order of the classes, as {','.join(here[:SHOWN])}{',...' * (len(here) > SHOWN)}"
    if from_0 or (kind == "text" and (classes is None or numbers)):
        return wants, stars
    if classes is None and numbers:
        both = f"are those of the columns ({shown(stars)}): {REMEDY.replace('a,b,c', ','.join(stars[:SHOWN]))}; or 0 to C - 1: {lists}"
        raise SourceError(f"{place_of(source, name)} holds class numbers; say whether they {both}")
    if classes is None:
        words = [star for _, star in sorted(zip(columns, stars, strict=True), key=lambda pair: source.names.index(pair[0]))]
        say = f"{REMEDY.replace('a,b,c', ','.join(words[:SHOWN]))} if these are 0 to C - 1, or {lists}"
        raise SourceError(
            f"{place_of(source, name)} holds class numbers, and the columns are named {shown(stars)}; say which is which: {say}"
        )
    if numbers and all(is_number(label) for label in classes):
        return wants, stars
    raise SourceError(f"`classes` are {shown(map(str, classes))}, but the prediction's columns are named {shown(stars)}; {lists}")


def plain(label):
    """A class's name as names are compared: 01 is 1, and True is true."""
    word = str(label)
    return str(int(word)) if word.isdecimal() else word.lower() if word.lower() in ("true", "false") else word


def truths(names):
    """["true", "false"], or the other way round, of the names of two columns that differ in that; else []."""
    small = [name.lower() for name in names]
    for words in (["true", "false"], ["false", "true"]):
        if len(names) == 2 and words[0] in small[0] and small[0].replace(words[0], words[1], 1) == small[1]:
            return words
    return []


def is_number(label):
    try:
        float(label)
    except (TypeError, ValueError):
        return False
    return True


REMEDY = "classes=[...] (--classes a,b,c)"


def class_list(classes):
    """``classes`` as a list of 2 or more different values, or None."""
    if classes is None:
        return None
    if isinstance(classes, set | frozenset):
        raise SourceError("`classes` must be in the order of the prediction's columns, got a set, which has none; pass a list")
    try:
        given = classes.split(",") if isinstance(classes, str) else list(getattr(classes, "tolist", lambda: classes)())
    except TypeError:
        raise SourceError(f"`classes` must be a list of all classes, got {classes!r}") from None
    words = [str(label) for label in given]
    if len(words) < 2:
        raise SourceError(f"`classes` must list 2 classes or more, got {', '.join(words) or 'none'}")
    if len(set(words)) < len(words):
        raise SourceError(f"`classes` lists {next(word for word in words if words.count(word) > 1)!r} twice")
    return given


def named(argument, given):
    """What an argument gives as a list of names of columns, none of them twice; none of None."""
    if given is None:
        return []
    names = [given] if isinstance(given, str | os.PathLike) else list(given) if isinstance(given, list | tuple) else None
    if not names or not all(isinstance(name, str | os.PathLike) for name in names):
        raise SourceError(f"`{argument}` must name a column or a list of columns, got {given!r}")
    names = list(map(os.fspath, names))
    if len(set(names)) < len(names):
        raise SourceError(f"`{argument}` names a column twice: {', '.join(names)}")
    return names
