"""Prefix cache: keys and values of tokens read before are reused.

Keys and values of whole conversations - system prompt, image, earlier turns - are stored in a radix tree over token
ids: each node holds a run of tokens, and conversations with a common prefix share nodes. Image placeholders, which are
the same ids for every image, are replaced by a number derived from the image's hash; each adapter has its own tree.
Memory is bounded: the least recently used node is evicted. A node is never used later than its descendants, so the
evicted node is always a leaf.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from geochat.engines.attention import KeyValues

_WORTHWHILE = 32  # tokens; computing fewer beside the question costs less than attending to them apart

Key = tuple[int, ...]
"""Token ids, with every placeholder replaced by a number that is the image's own."""


@dataclass(frozen=True, eq=False, slots=True)
class Beginning:
    """Keys and values of a prompt's prefix, in pieces; prompts with a common piece share the object.

    Attributes:
        pieces: For each, the keys and values it lies in, and how many tokens of them belong to it.
    """

    pieces: tuple[tuple[KeyValues, int], ...] = ()

    def __len__(self) -> int:
        return sum(length for _, length in self.pieces)

    def cut(self, length: int) -> "Beginning":
        """Return the first `length` tokens."""
        pieces = []
        for keyvalues, count in self.pieces:
            if length > 0:
                pieces.append((keyvalues, min(count, length)))
            length -= count
        return Beginning(tuple(pieces))


@dataclass(frozen=True, slots=True)
class PrefixStats:
    """Statistics of a prefix cache.

    Attributes:
        hits: Number of prompts with a cached prefix.
        misses: Number of prompts without one.
        reused_tokens: Number of prompt tokens that were not computed.
        evictions: Number of evicted runs of tokens.
        entries: Number of cached runs of tokens.
        bytes: Memory they take.
        max_bytes: Memory they may take.
    """

    hits: int
    misses: int
    reused_tokens: int
    evictions: int
    entries: int
    bytes: int
    max_bytes: int


@dataclass(eq=False, slots=True)
class _Node:
    run: Key
    keyvalues: KeyValues
    siblings: dict[int, "_Node"]
    children: dict[int, "_Node"] = field(default_factory=dict)


class PrefixCache:
    """Prompt prefixes with least-recently-used eviction. Thread-safe.

    Args:
        max_bytes: Memory for keys and values; 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._roots: dict[str, dict[int, _Node]] = {}
        self._nodes: OrderedDict[_Node, None] = OrderedDict()  # least recently used first
        self._bytes = self._hits = self._misses = self._reused = self._evictions = 0
        self._lock = threading.Lock()

    @property
    def stats(self) -> PrefixStats:
        """Statistics so far."""
        with self._lock:
            return PrefixStats(
                self._hits,
                self._misses,
                self._reused,
                self._evictions,
                len(self._nodes),
                self._bytes,
                self._max_bytes,
            )

    def clear(self) -> None:
        """Clear the cache; call this when the model's weights have changed."""
        with self._lock:
            self._roots.clear()
            self._nodes.clear()
            self._bytes = 0

    def holds(self, key: Key, adapter: str = "") -> bool:
        """Return whether all of `key` is cached; does not count as a use."""
        with self._lock:
            return sum(length for _, length in self._walk(key, adapter)) == len(key)

    def find(self, key: Key, image_end: int, adapter: str = "") -> Beginning:
        """Find the longest cached prefix of a prompt that is worth using, never the entire prompt.

        Args:
            key: The prompt.
            image_end: Index of the first token after the image, 0 without one. Shorter prefixes are ignored.
            adapter: Adapter that the model uses.
        """
        with self._lock:
            path = self._walk(key[:-1], adapter)  # an answer needs the last token computed
            found = Beginning(tuple((node.keyvalues, length) for node, length in path))
            if len(found) < image_end:
                found = Beginning()
            elif len(found) < image_end + _WORTHWHILE:
                found = found.cut(image_end)
            self._hits += bool(found)
            self._misses += not found
            self._reused += len(found)
            if found:
                self._touch([node for node, _ in path])
            return found

    def insert(self, key: Key, start: int, keyvalues: KeyValues, adapter: str = "") -> Beginning:
        """Store the keys and values of `key[start:]`; the part before it must have been found or inserted.

        Returns:
            All of `key` if it is there now, else what was given.
        """
        given = Beginning(((keyvalues, len(keyvalues)),))
        if not self._max_bytes:
            return given
        with self._lock:
            path = self._walk(key, adapter)
            known = sum(length for _, length in path)
            if known < start:  # its beginning has been given up meanwhile
                return given
            if known < len(key):
                own = keyvalues if known == start else keyvalues.copy(known - start, len(keyvalues))
                path.append((self._add(key[known:], own, path, adapter), len(own)))
            self._touch([node for node, _ in path])
            self._evict()
            return Beginning(tuple((node.keyvalues, length) for node, length in path))

    def _walk(self, key: Key, adapter: str) -> list[tuple[_Node, int]]:
        """Return the nodes along `key`, each with the number of matching tokens; all but the last match completely."""
        path: list[tuple[_Node, int]] = []
        children = self._roots.get(adapter, {})
        position = 0
        while position < len(key) and (node := children.get(key[position])):
            agreed = common_length(node.run, key[position : position + len(node.run)])
            path.append((node, agreed))
            if agreed < len(node.run):
                break
            position += agreed
            children = node.children
        return path

    def _add(self, run: Key, keyvalues: KeyValues, path: list[tuple[_Node, int]], adapter: str) -> _Node:
        if path:
            parent, length = path[-1]
            if length < len(parent.run):
                parent = self._split(parent, length)
                path[-1] = (parent, length)
            siblings = parent.children
        else:
            siblings = self._roots.setdefault(adapter, {})
        node = _Node(run, keyvalues, siblings)
        siblings[run[0]] = self._keep(node)
        return node

    def _split(self, node: _Node, length: int) -> _Node:
        """Split a node and return its first part; both get their own memory, so that the second can be freed."""
        head = _Node(node.run[:length], node.keyvalues.copy(0, length), node.siblings)
        node.siblings[head.run[0]] = self._keep(head)
        self._bytes -= node.keyvalues.nbytes
        node.run, node.keyvalues = node.run[length:], node.keyvalues.copy(length, len(node.run))
        self._bytes += node.keyvalues.nbytes
        node.siblings = head.children
        head.children[node.run[0]] = node
        return head

    def _keep(self, node: _Node) -> _Node:
        self._nodes[node] = None
        self._bytes += node.keyvalues.nbytes
        return node

    def _touch(self, path: Sequence[_Node]) -> None:
        for node in reversed(path):  # so that a node is always used after what continues it
            self._nodes.move_to_end(node)

    def _evict(self) -> None:
        while self._bytes > self._max_bytes:
            node, _ = self._nodes.popitem(last=False)
            del node.siblings[node.run[0]]
            self._bytes -= node.keyvalues.nbytes
            self._evictions += 1


def common_length(run: Sequence[object], other: Sequence[object]) -> int:
    """Number of leading tokens that are equal."""
    if run == other:
        return len(run)
    return next((i for i, (a, b) in enumerate(zip(run, other, strict=False)) if a != b), min(len(run), len(other)))


def active_adapters(model: nn.Module) -> str:
    """Return a name for the currently active LoRA adapters, empty for none."""
    modules: list[Any] = list(model.modules())
    layers = [module for module in modules if hasattr(module, "merged_adapters")]  # PEFT's tuner layers
    states = {
        (tuple(layer.active_adapters), bool(layer.disable_adapters), tuple(layer.merged_adapters)) for layer in layers
    }
    return repr(sorted(states, key=repr)) if states else ""
