#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Container images of assay-agent, assay-collector and assay, from programs that were built: the programs, their shared
# libraries, certificates of public authorities, and an SBOM; no shell, no package manager.
#
#   deploy/images/build.sh [--bin DIR] [--out DIR] [--version VERSION] [agent|collector|client …]
#
#   --bin DIR   where the programs lie (default build/release/bin: cmake --preset release && ninja -C build/release)
#   --out DIR   for each image NAME.tar (an OCI archive), NAME.digest and NAME.spdx.json (default build/images)
#
# Needs root and the packages buildah, binutils, ca-certificates, python3. The same programs on the same
# Debian give the same digest: all times are SOURCE_DATE_EPOCH (default: the time of the last commit).
set -eu -o pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
bin=$root/build/release/bin out=$root/build/images images=()
version=$(sed -n 's/^project(assay VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")
readonly certificates=/etc/ssl/certs/ca-certificates.crt
readonly user=65532 # of images that need no user of root's

die() { # die CODE MESSAGE: exit codes as in docs/exit-codes.md
  printf 'error: %s\n' "$2" >&2
  exit "$1"
}

usage() { sed -n '3,13p' "$0" | sed 's/^# \{0,1\}//'; }

parse_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --bin) bin=${2:-} && shift ;;
      --out) out=${2:-} && shift ;;
      --version) version=${2:-} && shift ;;
      agent | collector | client) images+=("$1") ;;
      -h | --help) usage && exit 0 ;;
      *) die 2 "unknown argument \"$1\"; see deploy/images/build.sh --help" ;;
    esac
    shift || die 2 "the last option needs a value"
  done
  [ "${#images[@]}" -gt 0 ] || images=(agent collector client)
  [ "$(id -u)" -eq 0 ] || die 3 "needs root: files in an image belong to root; try again with sudo"
  command -v buildah >/dev/null || die 3 "buildah is not installed: apt-get install buildah"
}

# programs_of IMAGE: names of the programs in it, the entry point first.
programs_of() {
  case $1 in
    agent) echo assay-agent assay-place ;;
    collector) echo assay-collector ;;
    client) echo assay ;;
  esac
}

title_of() {
  case $1 in
    agent) echo "Assay's agent: which base does each container of this node stand on" ;;
    collector) echo "Assay's collector" ;;
    client) echo "Assay's command line" ;;
  esac
}

# place FILE TREE: a file of a Debian package at its own path, without links in the folders above.
place() {
  local path
  path=$(realpath "$(dirname "$1")")/$(basename "$1")
  install -D -m "$([ -x "$1" ] && echo 755 || echo 644)" "$1" "$2$path"
}

# What dpkg would know of a package, where scanners look in images without dpkg, and its licence.
note_package() { # note_package NAME TREE
  local name=${1%%:*} package=$1 tree=$2
  # Not what apt is doing with it at the moment.
  dpkg-query --status "$package" | sed -e 's/^Status: .*/Status: install ok installed/' \
    -e '/^Conffiles:/,/^[^ ]/{/^Conffiles:/d;/^ /d}' >"$tree/var/lib/dpkg/status.d/$name"
  [ ! -e "/usr/share/doc/$name/copyright" ] ||
    install -D -m 644 "$(realpath "/usr/share/doc/$name/copyright")" "$tree/usr/share/doc/$name/copyright"
}

# The distribution that the libraries are of, by which scanners choose what they know; only the title is Assay's.
write_release() {
  local host
  host=$(sed -n 's/^PRETTY_NAME="\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' /etc/os-release)
  {
    printf 'PRETTY_NAME="Assay %s on %s"\n' "$version" "$host"
    grep -E '^(ID|ID_LIKE|NAME|VERSION|VERSION_ID|VERSION_CODENAME)=' /etc/os-release
  } >"$1/usr/lib/os-release"
  ln -s ../usr/lib/os-release "$1/etc/os-release"
  cp --no-preserve=all /etc/debian_version "$1/etc/debian_version"
}

# Users have names, the own one is nobody's else, and names of hosts are looked up.
write_system_files() {
  printf 'root:x:0:0:root:/:/sbin/nologin\nassay:x:%s:%s:assay:/:/sbin/nologin\n' $user $user >"$1/etc/passwd"
  printf 'root:x:0:\nassay:x:%s:\n' $user >"$1/etc/group"
  printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$1/etc/nsswitch.conf"
  write_release "$1"
}

fill_tree() { # fill_tree IMAGE TREE
  local tree=$2 name program library programs=()
  mkdir -p "$tree"/{etc,usr/{bin,lib,lib64,sbin,share/sbom},var/lib/dpkg/status.d,proc,sys,dev,tmp,run}
  for name in bin lib lib64 sbin; do ln -s "usr/$name" "$tree/$name"; done
  chmod 1777 "$tree/tmp"
  write_system_files "$tree"
  for name in $(programs_of "$1"); do
    [ -x "$bin/$name" ] || die 7 "$bin/$name is not there: build it first (ninja -C …), or name another folder with --bin"
    program=$tree/usr/bin/$name
    strip --strip-unneeded -o "$program" "$bin/$name"
    chmod 755 "$program"
    programs+=("$program")
  done
  while read -r library; do place "$library" "$tree"; done \
    < <("$root/deploy/lib/sbom.py" --list "${programs[@]}")
  place "$certificates" "$tree"
  local sbom=$tree/usr/share/sbom/assay-$1.spdx.json
  "$root/deploy/lib/sbom.py" --image --name "assay-$1" --version "$version" --commit "$commit" --created "$SOURCE_DATE_EPOCH" \
    --extra /usr/share/doc/ca-certificates/copyright "${programs[@]}" >"$sbom"
  for name in $(python3 -c 'import json, sys
for one in json.load(sys.stdin)["packages"][1:]: print(one["name"])' <"$sbom"); do
    note_package "$name" "$tree"
  done
  install -D -m 644 "$root/LICENSE" "$tree/usr/share/doc/assay/copyright"
}

buildah_here() {
  buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$@"
}

# What says where an image comes from. It is built from scratch: there is no base to name, and so it names none.
configure() { # configure IMAGE CONTAINER
  local entry words=()
  entry=$(programs_of "$1")
  local -A says=(
    [title]="assay-$1" [description]="$(title_of "$1")" [version]="$version" [licenses]="Apache-2.0"
    [created]="$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" [revision]="$commit"
  )
  local key
  for key in created description licenses revision title version; do
    [ -n "${says[$key]}" ] || continue
    words+=(--label "org.opencontainers.image.$key=${says[$key]}"
      --annotation "org.opencontainers.image.$key=${says[$key]}")
  done
  [ "$1" = agent ] || words+=(--user "$user:$user")
  buildah_here config "${words[@]}" --entrypoint "[\"/usr/bin/${entry%% *}\"]" \
    --env PATH=/usr/bin --workingdir / "$2"
}

build_image() {
  local tree=$work/$1 container archive=$out/assay-$1.tar
  fill_tree "$1" "$tree"
  container=$(buildah_here from scratch)
  buildah_here copy --quiet "$container" "$tree" / >/dev/null
  configure "$1" "$container"
  rm -f "$archive"
  buildah_here commit --quiet --omit-history --identity-label=false --timestamp "$SOURCE_DATE_EPOCH" --format oci \
    "$container" "oci-archive:$archive:assay-$1:$version" >/dev/null
  "$root/deploy/images/finish.py" "$archive" "$SOURCE_DATE_EPOCH" >"$out/assay-$1.digest"
  buildah_here rm "$container" >/dev/null
  cp "$tree/usr/share/sbom/assay-$1.spdx.json" "$out/"
  rm -rf "$tree"
  echo "assay-$1:$version $(cat "$out/assay-$1.digest") $archive"
}

main() {
  parse_arguments "$@"
  commit=$(git -C "$root" rev-parse HEAD 2>/dev/null || true)
  SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 0)}
  export SOURCE_DATE_EPOCH
  mkdir -p "$out"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  umask 022
  local image
  for image in "${images[@]}"; do build_image "$image"; done
}

main "$@"
