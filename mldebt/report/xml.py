"""XML that any parser takes: what XML cannot hold is replaced, what is not ASCII is written as references."""

from __future__ import annotations

from xml.etree.ElementTree import Element, indent, tostring

from mldebt.report.entries import fit


def element(tag: str, /, **attributes: object) -> Element:
    """An element; attributes that are None are left out."""
    return Element(tag, {name: fit(str(value)) for name, value in attributes.items() if value is not None})


def document(root: Element) -> str:
    """The document, one element a line."""
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="us-ascii").decode("ascii")}\n'
