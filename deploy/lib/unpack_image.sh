#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unpacks the layers of an OCI or docker archive, each into a directory that overlayfs can stack, as
# a container runtime would (whiteouts become 0/0 devices, opaque marks trusted.overlay.opaque).
# Prints the directories, top layer first. Needs root and the packages jq, attr, tar, gzip, zstd.
#
#   deploy/lib/unpack_image.sh ARCHIVE FOLDER
set -eu -o pipefail

archive=$1 folder=$2

die() {
  echo "error: $archive: $*" >&2
  exit 6
}

# Paths of the layer tars inside the archive, bottom first.
layer_paths() {
  if [ -f "$folder/image/manifest.json" ]; then
    jq -er '.[0].Layers[]' "$folder/image/manifest.json"
    return
  fi
  local file=$folder/image/index.json kind
  [ -f "$file" ] || die "holds neither index.json nor manifest.json; is it an OCI or docker archive?"
  for _ in 1 2 3; do # an index may lead to another one before the manifest
    kind=$(jq -r 'if .layers then "manifest" else "index" end' "$file")
    [ "$kind" = index ] || break
    file=$folder/image/blobs/$(jq -er '
      [.manifests[] | select((.platform.architecture // "'"$(dpkg --print-architecture)"'")
                             == "'"$(dpkg --print-architecture)"'")][0].digest
      | sub(":"; "/")' "$file") || die "no image for this machine's architecture"
  done
  jq -er '.layers[].digest | "blobs/" + sub(":"; "/")' "$file"
}

convert_whiteouts() {
  local layer=$1 mark name
  find "$layer" -name '.wh.*' -print0 | while IFS= read -r -d '' mark; do
    name=${mark##*/}
    rm -rf "$mark"
    case $name in
      .wh..wh..opq) setfattr -n trusted.overlay.opaque -v y "${mark%/*}" ;;
      .wh..wh.*) ;; # aufs's own bookkeeping
      *) mknod "${mark%/*}/${name#.wh.}" c 0 0 ;;
    esac
  done
}

mkdir -p "$folder/image"
tar -xf "$archive" -C "$folder/image" 2>"$folder/tar.log" ||
  die "cannot be read: $(tail -n 1 "$folder/tar.log"); is the file whole?"
mapfile -t paths < <(layer_paths)
[ "${#paths[@]}" -gt 0 ] || die "holds no layers"

layers=()
for path in "${paths[@]}"; do
  layer=$folder/layer-${#layers[@]}
  mkdir -p "$layer"
  tar --xattrs --xattrs-include='*' --numeric-owner -xpf "$folder/image/$path" -C "$layer" ||
    die "layer $path cannot be unpacked"
  convert_whiteouts "$layer"
  layers=("$layer" "${layers[@]}")
done
rm -rf "$folder/image" "$folder/tar.log"
printf '%s\n' "${layers[@]}"
