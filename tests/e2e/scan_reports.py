# SPDX-License-Identifier: Apache-2.0
"""Reports about the tests' own images, written as scanners write them."""


def trivy(layers, findings, at="2025-01-01T00:00:00Z", image_id=None):
    """A Trivy report of an image with these diff IDs; findings are (id, severity, package, diff ID)."""
    return {"SchemaVersion": 2, "Trivy": {"Version": "0.57.0"}, "CreatedAt": at, "ArtifactName": "example.org/image:1",
            "ArtifactType": "container_image", "Metadata": {"DiffIDs": layers, **({"ImageID": image_id} if image_id else {})},
            "Results": [{"Target": "image", "Class": "os-pkgs", "Type": "debian", "Vulnerabilities": [
                {"VulnerabilityID": name, "PkgName": package, "InstalledVersion": "1.0", "FixedVersion": "1.1",
                 "Severity": severity, "Status": "fixed", "Layer": {"DiffID": layer},
                 "PkgIdentifier": {"PURL": f"pkg:deb/debian/{package}@1.0?arch=amd64"}}
                for name, severity, package, layer in findings]}]}


def grype(layers, matches):
    """A Grype report; matches are (id, severity, package, [diff IDs of its locations])."""
    return {"matches": [{"vulnerability": {"id": name, "severity": severity, "fix": {"versions": [], "state": "unknown"}},
                         "relatedVulnerabilities": [], "artifact": {
                             "name": package, "version": "1.0", "type": "deb",
                             "locations": [{"path": "/x", "layerID": layer} for layer in places]}}
                        for name, severity, package, places in matches],
            "source": {"type": "image", "target": {"userInput": "x", "tags": ["example.org/app:7"],
                                                   "layers": [{"digest": layer} for layer in layers]}},
            "descriptor": {"name": "grype", "version": "0.92.0", "timestamp": "2025-03-01T10:00:00.5+01:00"}}


def vex(vulnerability, status, at, **more):
    return {"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex", "author": "us", "timestamp": at,
            "version": 1, "statements": [{"vulnerability": {"name": vulnerability}, "status": status, **more}]}
