"""Inspect: what a mail or a CMS object is made of, for people and programs. Nothing is trusted, no key is used.

``road`` goes from octets to the tree; ``objects``, ``recipients``, ``certificates`` and ``attributes`` know what CMS is
made of; ``words`` writes names and algorithms; ``tree`` holds the nodes and the limits.
"""

from smime_agent.smime.inspect.road import inspect
from smime_agent.smime.inspect.tree import Node, NodeType, Value

__all__ = ["Node", "NodeType", "Value", "inspect"]
