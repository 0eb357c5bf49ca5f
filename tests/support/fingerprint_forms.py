# SPDX-License-Identifier: Apache-2.0
"""Section 9 of docs/formats/fingerprint.md: layers without devices, and roots.

Part of fingerprint.py, a second implementation of that page; not a program.
"""
import copy
import hashlib

from fingerprint_layer import CONTENT_COVERS, SHAPE_COVERS, VERSION, fields

ALONE = {b".dockerenv", b"etc/hostname", b"etc/hosts", b"etc/mtab", b"etc/resolv.conf",
         b"run/.containerenv"}
WITH_ALL_BELOW = {b"dev", b"proc", b"sys", b"run/secrets", b"var/run/secrets"}
PARENTS = {b"etc", b"run"}
ROOT_CONTENT_COVERS = CONTENT_COVERS.replace("xattrs", "capability")


def digests(nodes, shape_kind, content_kind, content_covers):
    shape, content = hashlib.sha256(), hashlib.sha256()
    shape.update(fields("assay-fingerprint", VERSION, shape_kind, SHAPE_COVERS))
    content.update(fields("assay-fingerprint", VERSION, content_kind, content_covers))
    for path in sorted(nodes):
        of_shape, of_content = nodes[path].records(path)
        shape.update(of_shape)
        content.update(of_content)
    return {"shape": shape.hexdigest(), "content": content.hexdigest(), "entries": len(nodes)}


def without_devices(layer):
    """None when the layer has none."""
    layer.close_links()
    nodes = {path: node for path, node in layer.nodes.items() if node.kind not in "cb"}
    if len(nodes) == len(layer.nodes):
        return None
    return digests(nodes, "shape", "content", CONTENT_COVERS)


def is_left_out(path, node):
    if node.kind in "cb" or path in ALONE or (node.kind == "d" and path in PARENTS):
        return True
    return any(path.startswith(top + b"/") or (node.kind == "d" and path == top)
               for top in WITH_ALL_BELOW)


def root_form(layer):
    layer.close_links()
    nodes = {}
    for path, node in layer.nodes.items():
        if not is_left_out(path, node):
            nodes[path] = copy.copy(node)
            nodes[path].xattrs = {name: value for name, value in node.xattrs.items()
                                  if name == b"security.capability"}
    return digests(nodes, "root-shape", "root-content", ROOT_CONTENT_COVERS)
