// SPDX-License-Identifier: Apache-2.0
// validate_manifests.js FOLDER FILE: each of the objects in FILE (a JSON list) against the schemas of the npm package
// kubernetes-models in FOLDER: wrong types and missing fields are errors, fields that Kubernetes does not know are not found. One line
// per object; exit code 1 with errors.
"use strict";
const fs = require("fs");
const path = require("path");

const models = path.join(path.resolve(process.argv[2]), "node_modules", "kubernetes-models");
let failed = 0;

function modelOf(object) {
  const file = path.join(models, ...object.apiVersion.split("/"), `${object.kind}.js`);
  return fs.existsSync(file) ? Object.values(require(file)).find((one) => typeof one === "function" && one.is) : null;
}

for (const object of JSON.parse(fs.readFileSync(process.argv[3], "utf8"))) {
  const name = `${object.apiVersion} ${object.kind} ${object.metadata && object.metadata.name}`;
  const Model = modelOf(object);
  if (!Model) {
    console.log(`no-schema ${name}`);
    continue;
  }
  try {
    new Model(object).validate();
    console.log(`valid ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`INVALID ${name}: ${error.message}`);
  }
}
process.exit(failed ? 1 : 0);
