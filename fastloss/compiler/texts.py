"""Where a formula is written: the tree of its function, the file and line, and how the helpers that it calls are found.

The text comes from a Python function, whose source is read, or as a string (a derived formula, or one that another process sent): a
string is parsed and never executed.
"""

import ast
import inspect
import textwrap


class FormulaError(TypeError):
    """A formula that leaves the subset; says where."""


class Text:
    """A formula's text. tree: an ast.FunctionDef with the file's line numbers; helper(name): the Text of a helper, or None."""

    def __init__(self, tree, file, helper):
        self.tree, self.file, self.helper = tree, file, helper

    @property
    def line(self):
        return self.tree.lineno

    @property
    def text(self):
        """The function as Python text."""
        return ast.unparse(ast.fix_missing_locations(self.tree))

    def bare(self):
        """The same without what a formula has no use for: decorators, defaults, annotations."""
        given = self.tree.args
        if given.vararg or given.kwarg or given.kwonlyargs:
            raise FormulaError(f"{self.file}:{self.line}: in formula `{self.tree.name}`: arguments are plain names, without * and **")
        plain = [ast.copy_location(ast.arg(one.arg), one) for one in (*given.posonlyargs, *given.args)]
        arguments = ast.arguments(posonlyargs=[], args=plain, kwonlyargs=[], kw_defaults=[], defaults=[])
        tree = ast.FunctionDef(name=self.tree.name, args=arguments, body=self.tree.body, decorator_list=[], returns=None)
        return Text(ast.copy_location(tree, self.tree), self.file, lambda name: (helper := self.helper(name)) and helper.bare())

    @classmethod
    def of(cls, function, name=None):
        """That of a Python function; a lambda takes the name given."""
        if isinstance(function, cls):
            return function
        if hasattr(function, "__wrapped__"):
            code = function.__wrapped__.__code__
            raise FormulaError(
                f"{code.co_filename}:{code.co_firstlineno}: `{function.__name__}` is wrapped by a decorator, which no formula shows"
            )
        try:
            file = inspect.getsourcefile(function) or "?"
            if function.__name__ == "<lambda>":
                tree = _lambda(function, name)
            else:
                lines, first = inspect.getsourcelines(function)
                tree = ast.parse(textwrap.dedent("".join(lines))).body[0]
                ast.increment_lineno(tree, first - 1)
        except (OSError, TypeError, SyntaxError, IndexError) as error:
            where = f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"
            raise FormulaError(
                f"{where}: the source of `{function.__name__}` cannot be read ({error}): formulas are compiled from their text; write "
                "it as a function in a file or in a notebook's cell"
            ) from error
        return cls(tree, file, _helpers_of(function))

    @classmethod
    def made(cls, text, file, line=1, helpers=None):
        """That of a string, which begins at this line of a file; helpers: {name: Text}."""
        try:
            tree = ast.parse(text).body[0]
        except (SyntaxError, ValueError, IndexError, RecursionError, MemoryError) as error:
            raise FormulaError(f"{file}:{line}: this is no formula: {type(error).__name__}: {error}") from error
        if not isinstance(tree, ast.FunctionDef):
            raise FormulaError(f"{file}:{line}: a formula is a function, not `{text.splitlines()[0]}`")
        ast.increment_lineno(tree, line - tree.lineno)
        return cls(tree, file, (helpers or {}).get).bare()


def _helpers_of(function):
    """name -> Text, of the functions that a function sees."""

    def helper(name):
        seen = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        try:
            found = seen[name].cell_contents if name in seen else function.__globals__.get(name)
        except ValueError:  # not yet defined
            found = None
        return Text.of(found, name) if inspect.isfunction(found) else None

    return helper


def _lambda(function, name):
    """A lambda as the function that it would be with a name."""
    lines, _ = inspect.findsource(function)
    code = function.__code__
    arguments = list(code.co_varnames[: code.co_argcount])
    found = [
        node
        for node in ast.walk(ast.parse("".join(lines)))
        if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno and [one.arg for one in node.args.args] == arguments
    ]
    if len(found) > 1:  # on one line: that whose body has the code's places
        places = {(line, column) for line, _, column, _ in code.co_positions() if line is not None and column}
        spans = [((one.body.lineno, one.body.col_offset), (one.body.end_lineno, one.body.end_col_offset)) for one in found]
        found = [one for one, (start, end) in zip(found, spans, strict=True) if any(start <= place < end for place in places)]
    if len(found) != 1:
        raise OSError("the lambda is not to be found on its line, or it is one of several; give it a name with `def`")
    result = ast.Return(found[0].body, lineno=found[0].body.lineno, col_offset=0, end_lineno=found[0].body.end_lineno, end_col_offset=0)
    tree = ast.parse(f"def {name or 'value'}(): pass").body[0]
    tree.args, tree.body = found[0].args, [result]
    tree.lineno = tree.end_lineno = found[0].lineno
    return tree
