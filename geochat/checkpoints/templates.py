"""Check that chat templates are bounded in time and size, by their syntax tree.

A chat template is a program that comes with the weights. transformers runs it in Jinja's sandbox, which protects
Python's internals but does not prevent nested `{% for %}` over `range(99999)`, `'a' * 10**10`, or doubling a string a
hundred times. Its behaviour may depend on its input, so a trial run proves nothing. Therefore its syntax tree is
checked: constructs that templates need are allowed, all others are refused, and two properties of the allowed ones are
bounded.

- Size: each expression has a bound a + b·N on its length, N being the length of the conversation. Adding adds bounds,
  turning values into text multiplies by what escapes can take, and a bound too large is refused.
- Time: a loop within a loop goes over what the outer one gave it, so that all rounds together are at most N. A
  namespace, which outlives a round, may have something added in a loop, and may not be multiplied. The work of all
  expressions in all rounds is estimated for a long conversation, and too much is refused.

No macros, no ranges, no multiplication, no formatting. The templates of LLaVA, Vicuna, Llama, Mistral, ChatML and Gemma
need none.
"""

from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from geochat.checkpoints.template_bounds import CONSTANT, ESCAPED, Bound, RefusedError, Scope, Work, either, total

LONGEST = 1 << 16  # characters of a template
_DEEPEST = 3  # loops
_LOOPED = Bound(1024.0, 16.0)  # the longest value a loop goes over
_FILTERS = {
    "trim": 1.0, "length": 1.0, "count": 1.0, "selectattr": 1.0, "rejectattr": 1.0, "list": 1.0, "first": 1.0,
    "last": 1.0, "default": 1.0, "d": 1.0, "items": 1.0, "map": 1.0, "upper": 3.0, "lower": 3.0, "capitalize": 3.0,
    "title": 3.0, "string": ESCAPED, "tojson": ESCAPED, "join": ESCAPED, "replace": 1.0,
}  # fmt: skip
_METHODS = {
    "strip": 1.0, "lstrip": 1.0, "rstrip": 1.0, "startswith": 1.0, "endswith": 1.0, "split": 1.0, "get": 1.0,
    "items": 1.0, "keys": 1.0, "values": 1.0, "upper": 3.0, "lower": 3.0, "capitalize": 3.0, "title": 3.0,
    "replace": 1.0,
}  # fmt: skip
_TESTS = frozenset(
    ("defined", "undefined", "string", "mapping", "iterable", "sequence", "number", "integer", "boolean", "none",
     "true", "false", "equalto", "eq", "==", "ne", "!=", "in", "sameas", "odd", "even")
)  # fmt: skip
_PLAIN = (nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Compare, nodes.Operand, nodes.Slice, nodes.Sub)
_COUNTERS = ("index", "index0", "revindex", "revindex0", "length")


class _GenerationTag(Extension):
    """The tag `{% generation %}`, which transformers adds to mark the assistant's text; only its body matters here."""

    tags = {"generation"}  # noqa: RUF012 - how jinja2 declares it

    def parse(self, parser: Parser) -> nodes.Node:
        """Read the body."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


_ENVIRONMENT = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols]
)


def unbounded(template: str) -> str | None:
    """Return the reason why a chat template may not end or not fit; None for a bounded one.

    Args:
        template: Its source, in Jinja.
    """
    if len(template) > LONGEST:
        return f"it has {len(template)} characters, {LONGEST} are read"
    try:
        _Reader().statements(_ENVIRONMENT.parse(template).body, Scope())
    except RefusedError as error:
        return str(error)
    except RecursionError:
        return "it is nested too deeply"
    except (TemplateError, ValueError, ArithmeticError) as error:  # no template, or a number too long to be read
        return f"line {getattr(error, 'lineno', '?')}: {error}"
    return None


def _refuse(node: nodes.Node, what: str) -> RefusedError:
    return RefusedError(f"line {node.lineno}: {what}")


class _Reader:
    """Reads statements and bounds expressions."""

    def __init__(self) -> None:
        self._work = Work()
        self._loops = 0
        self._kept = CONSTANT  # whatever namespaces hold, which other names may hold too

    def statements(self, body: list[Any], scope: Scope) -> None:
        """Read statements in order.

        Raises:
            RefusedError: One of them is not bounded.
        """
        for node in body:
            self._statement(node, scope)

    def _statement(self, node: Any, scope: Scope) -> None:  # noqa: ANN401 - jinja2 types lists of nodes loosely
        match node:
            case nodes.Output():
                for part in node.nodes:
                    written = part.data if isinstance(part, nodes.TemplateData) else None
                    bound = self._bound(part, scope) if written is None else Bound(float(len(written)), 0.0)
                    self._work.add(bound, scope, ESCAPED)
            case nodes.If():
                for test, body in [(node.test, node.body), *((each.test, each.body) for each in node.elif_)]:
                    self._bound(test, scope)
                    self._branch(body, scope)
                self._branch(node.else_, scope)
            case nodes.For():
                self._for(node, scope)
            case nodes.Assign():
                self._assign(node, scope)
            case nodes.Scope():
                self.statements(node.body, scope.inner())
            case nodes.Break() | nodes.Continue():
                pass
            case _:
                raise _refuse(node, f"{type(node).__name__} is not allowed in a chat template")

    def _branch(self, body: list[Any], scope: Scope) -> None:
        """Read a branch; a name that it sets may have either value afterwards, so the larger bound is used."""
        before = dict(scope.names)
        self.statements(body, scope)
        for name, bound in scope.names.items():
            scope.names[name] = either([before.get(name, Bound()), bound])

    def _for(self, node: nodes.For, scope: Scope) -> None:
        if node.recursive:
            raise _refuse(node, "a recursive loop is not allowed")
        if len(scope.loops) == _DEEPEST:
            raise _refuse(node, f"loops are nested more than {_DEEPEST} deep")
        over = self._bound(node.iter, scope)
        if over.factor == 0 or (scope.loops and over.loop != scope.loops[-1]):
            raise _refuse(node, "a loop within a loop goes over something else than what the outer one gave it")
        if over.factor > _LOOPED.factor or over.constant > _LOOPED.constant:
            raise _refuse(node, "a loop goes over a value made long")
        self._loops += 1
        inner = scope.loop(self._loops, over)
        inner.names["loop"] = Bound()
        for target in node.target.items if isinstance(node.target, nodes.Tuple) else [node.target]:
            if not isinstance(target, nodes.Name):
                raise _refuse(node, "the targets of a loop are names")
            inner.names[target.name] = Bound(over.constant, over.factor, self._loops, over.kept)
        if node.test is not None:
            self._bound(node.test, inner)
        self.statements(node.body, inner)
        self.statements(node.else_, scope.inner())

    def _assign(self, node: nodes.Assign, scope: Scope) -> None:
        bound = self._bound(node.node, scope)
        match node.target:
            case nodes.Name():
                scope.names[node.target.name] = bound
            case nodes.NSRef() if scope.loops and bound.kept:
                if bound.kept > 1 or (bound.factor > self._kept.factor and bound.loop is None):
                    raise _refuse(node, "a namespace grows from round to round of a loop")
                self._kept = self._kept.added_each_round(bound)
            case nodes.NSRef():
                self._kept = either([self._kept, bound])
            case _:
                raise _refuse(node, "only a name or an attribute of a namespace can be set")

    def _bound(self, node: Any, scope: Scope) -> Bound:  # noqa: ANN401 - jinja2 types nodes loosely
        bound = self._value(node, scope)
        self._work.add(bound, scope)
        return bound

    def _value(self, node: Any, scope: Scope) -> Bound:  # noqa: ANN401, PLR0911 - one case a kind of node
        match node:
            case nodes.Const():
                return Bound(float(len(str(node.value))), 0.0)
            case nodes.Name():
                known = scope.names.get(node.name, Bound())
                return Bound(*_larger(known, self._kept), known.loop, known.kept) if known.kept else known
            case nodes.Getattr() | nodes.Getitem():
                return self._part(node, scope)
            case nodes.List() | nodes.Tuple():
                return total([self._bound(item, scope) for item in node.items])
            case nodes.Add():
                return total([self._bound(node.left, scope), self._bound(node.right, scope)])
            case nodes.Concat():
                return total([self._bound(part, scope) for part in node.nodes], ESCAPED)
            case nodes.CondExpr():
                self._bound(node.test, scope)
                return either([self._bound(part, scope) for part in (node.expr1, node.expr2) if part is not None])
            case nodes.Mod():
                return self._remainder(node, scope)
            case nodes.Filter():
                return self._filter(node, scope)
            case nodes.Test():
                return self._test(node, scope)
            case nodes.Call():
                return self._call(node, scope)
            case _ if isinstance(node, _PLAIN):
                return either([self._bound(child, scope) for child in node.iter_child_nodes()])
        raise _refuse(node, f"{type(node).__name__} is not allowed in a chat template")

    def _part(self, node: nodes.Getattr | nodes.Getitem, scope: Scope) -> Bound:
        name = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
        if isinstance(name, str) and name.startswith("_"):
            raise _refuse(node, f"the private attribute {name[:40]!r} is asked for")
        if isinstance(node, nodes.Getitem):
            self._bound(node.arg, scope)
        return self._bound(node.node, scope)

    def _remainder(self, node: nodes.Mod, scope: Scope) -> Bound:
        """Bound a remainder of numbers; applied to text, `%` formats to any width and is refused."""
        left, counted = node.left, False
        if isinstance(left, nodes.Getattr) and isinstance(left.node, nodes.Name):
            counted = left.node.name == "loop" and left.attr in _COUNTERS and bool(scope.loops)
        if isinstance(left, nodes.Filter):
            counted = left.name in ("length", "count")
        if not counted or not isinstance(node.right, nodes.Const) or not isinstance(node.right.value, int):
            raise _refuse(node, "% of anything but a loop's counter is not allowed")
        self._bound(left, scope)
        return CONSTANT

    def _filter(self, node: nodes.Filter, scope: Scope) -> Bound:
        if node.node is None or node.name not in _FILTERS or node.dyn_args or node.dyn_kwargs:
            raise _refuse(node, f"the filter {node.name!r} is not allowed")
        given = [self._bound(value, scope) for value in _arguments(node)]
        _check_names(node)
        own = self._bound(node.node, scope).times(_FILTERS[node.name] * _growth(node, node.name))
        if node.name in ("length", "count"):
            return CONSTANT
        return either([own, *given]) if node.name in ("default", "d") else own

    def _test(self, node: nodes.Test, scope: Scope) -> Bound:
        if node.name not in _TESTS or node.kwargs or node.dyn_args or node.dyn_kwargs:
            raise _refuse(node, f"the test {node.name!r} is not allowed")
        for part in (node.node, *node.args):
            self._bound(part, scope)
        return CONSTANT

    def _call(self, node: nodes.Call, scope: Scope) -> Bound:
        if node.dyn_args or node.dyn_kwargs:
            raise _refuse(node, "a call with * or ** is not allowed")
        given = [self._bound(value, scope) for value in _arguments(node)]
        match node.node:
            case nodes.Name(name="raise_exception"):
                return either(given)
            case nodes.Name(name="namespace"):
                self._kept = either([self._kept, *given])
                return Bound(*_larger(CONSTANT, self._kept), None, 1.0)
            case nodes.Getattr(attr=method) if method in _METHODS:
                own = self._bound(node.node.node, scope).times(_METHODS[method] * _growth(node, method))
                return either([own, *given]) if method == "get" else own
        called = getattr(node.node, "name", None) or getattr(node.node, "attr", None) or type(node.node).__name__
        raise _refuse(node, f"the call of {str(called)[:40]!r} is not allowed")


def _larger(one: Bound, other: Bound) -> tuple[float, float]:
    return max(one.constant, other.constant), max(one.factor, other.factor)


def _arguments(node: nodes.Filter | nodes.Call) -> list[nodes.Expr]:
    return [*node.args, *(pair.value for pair in node.kwargs)]


def _growth(node: nodes.Filter | nodes.Call, name: str) -> float:
    """Return the growth of a text by a constant argument: each character may be one that is replaced, or joined."""
    if name not in ("join", "replace", "tojson"):
        return 1.0
    arguments = _arguments(node)
    if not all(isinstance(argument, nodes.Const) for argument in arguments) or (name == "tojson" and arguments):
        raise _refuse(node, f"{name} is not allowed with these arguments")
    return 1.0 + sum(float(len(str(argument.value))) for argument in arguments if isinstance(argument, nodes.Const))


def _check_names(node: nodes.Filter) -> None:
    """Check the attribute and the test that a filter refers to by name."""
    words = [getattr(argument, "value", None) for argument in _arguments(node)]
    if node.name == "map" and (node.args or [pair.key for pair in node.kwargs] != ["attribute"]):
        raise _refuse(node, "map is allowed with attribute= alone")
    if node.name in ("selectattr", "rejectattr", "map"):
        first = words[0] if words else None
        if not isinstance(first, str) or any(part.startswith("_") for part in first.split(".")):
            raise _refuse(node, f"the attribute {first!r} is asked for")
        if len(words) > 1 and words[1] not in _TESTS:
            raise _refuse(node, f"the test {words[1]!r} is not allowed")
