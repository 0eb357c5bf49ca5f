#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Packs built programs as Debian packages: assay, assay-agent, assay-collector.
#
#   deploy/debian/build.sh --bin DIR --out DIR [--version VERSION] [--package NAME]
#
# The same programs give the same bytes: times come from SOURCE_DATE_EPOCH, else from the changelog. Needs dpkg-dev.
set -eu -o pipefail
umask 022

here=$(cd "$(dirname "$0")" && pwd)
bin='' out='' version=$(dpkg-parsechangelog -l "$here/changelog" -S Version)
packages='assay assay-agent assay-collector'
while [ $# -gt 1 ]; do
  case $1 in
    --bin) bin=$(realpath "$2") ;;
    --out) mkdir -p "$2" && out=$(realpath "$2") ;;
    --version) version=$2 ;;
    --package) packages=$2 ;;
    *) echo "build.sh: unknown option $1" >&2 && exit 2 ;;
  esac
  shift 2
done
if [ $# -ne 0 ] || [ -z "$bin" ] || [ -z "$out" ]; then sed -n '3,6p' "$0" >&2 && exit 2; fi
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(dpkg-parsechangelog -l "$here/changelog" -S Timestamp)}
export SOURCE_DATE_EPOCH
architecture=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# dpkg-shlibdeps and dpkg-gencontrol want a source tree.
mkdir -p "$work/source/debian"
cp "$here/control" "$work/source/debian/control"
sed "1s/(.*)/($version)/" "$here/changelog" >"$work/source/debian/changelog"

put() { install -D -m "$1" "$2" "$tree/$3"; }

pages() { # pages PROGRAM SECTION: manual page and completion scripts, as the program prints them
  local man=$tree/usr/share/man/man$2/$1.$2
  mkdir -p "${man%/*}" "$tree"/usr/share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
  "$bin/$1" man --date "$(date -u -d "@$SOURCE_DATE_EPOCH" +%F)" >"$man"
  gzip -9n "$man"
  "$bin/$1" completion bash >"$tree/usr/share/bash-completion/completions/$1"
  "$bin/$1" completion zsh >"$tree/usr/share/zsh/vendor-completions/_$1"
  "$bin/$1" completion fish >"$tree/usr/share/fish/vendor_completions.d/$1.fish"
}

service() { # service PACKAGE CONFIGURATION: unit, user, folders, configuration, maintainer scripts
  put 644 "$here/$1/$1.service" "lib/systemd/system/$1.service"
  put 644 "$here/$1/$1.sysusers" "usr/lib/sysusers.d/$1.conf"
  put 644 "$here/$1/$1.tmpfiles" "usr/lib/tmpfiles.d/$1.conf"
  put 644 "$here/$1/$2" "etc/assay/$2"
  put 644 "$here/../../docs/configuration.md" "usr/share/doc/$1/configuration.md"
  gzip -9n "$tree/usr/share/doc/$1/configuration.md"
  echo "/etc/assay/$2" >"$tree/DEBIAN/conffiles"
  local script
  for script in postinst prerm postrm; do put 755 "$here/$1/$script" "DEBIAN/$script"; done
}

pack() { # pack PACKAGE: what stands in $tree
  put 644 "$here/copyright" "usr/share/doc/$1/copyright"
  put 644 "$work/source/debian/changelog" "usr/share/doc/$1/changelog"
  gzip -9n "$tree/usr/share/doc/$1/changelog"
  local depends
  depends=$(cd "$work/source" && dpkg-shlibdeps -O -e"$tree/usr/bin/$1" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
  [ "$1" = assay ] || depends="$depends, passwd, procps, systemd"
  {
    sed -n "/^Package: $1\$/,/^\$/p" "$here/control" | sed "/^\$/d; s/^Architecture: any/Architecture: $architecture/" |
      sed "/^Package:/a Source: assay\nVersion: $version\nMaintainer: $(sed -n 's/^Maintainer: //p' "$here/control")\nInstalled-Size: $(du -sk --apparent-size "$tree" | cut -f1)\nDepends: $depends\nSection: admin\nPriority: optional" |
      sed '/^Source: assay$/{/Package: assay$/d}'
  } >"$tree/DEBIAN/control"
  [ "$1" != assay ] || sed -i '/^Source: /d' "$tree/DEBIAN/control"
  (cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\n' | LC_ALL=C sort | xargs md5sum) >"$tree/DEBIAN/md5sums"
  dpkg-deb --root-owner-group -Zxz --build "$tree" "$out/$1_${version}_$architecture.deb" >/dev/null
  echo "$out/$1_${version}_$architecture.deb"
}

for package in $packages; do
  tree=$work/$package
  mkdir -p "$tree/DEBIAN"
  case $package in
    assay) pages assay 1 ;;
    assay-agent) pages "$package" 8 && service "$package" agent.yaml ;;
    assay-collector) pages "$package" 8 && service "$package" collector.yaml ;;
    *) echo "build.sh: there is no package $package" >&2 && exit 2 ;;
  esac
  put 755 "$bin/$package" "usr/bin/$package"
  strip --strip-unneeded --remove-section=.comment --remove-section=.note "$tree/usr/bin/$package"
  pack "$package"
done
