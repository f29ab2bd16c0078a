#!/usr/bin/env bash
# Brings the 64-bit ARM builds of the libraries into .cache/aarch64-sysroot, where
# cmake/aarch64.cmake looks for them. APT reads and writes private lists, so the system's own
# architectures and packages stay as they are.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD/.cache/aarch64-sysroot
if [ -e "$root/complete" ]; then exit 0; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/sources" "$work/root"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
  if [ -f "$file" ]; then cp "$file" "$work/sources/"; fi
done
apt=(apt-get -qq -o Dir::State="$work/state" -o Dir::State::status=/dev/null -o Dir::Cache="$work/cache"
  -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/sources"
  -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root)
cd "$work"
"${apt[@]}" update >&2
"${apt[@]}" download libfmt-dev libpcre2-dev libpcre2-8-0 libgtest-dev libgmock-dev nlohmann-json3-dev \
  libcli11-dev libspdlog-dev libspdlog1.10 libfmt9 >&2
for package in ./*.deb; do dpkg-deb -x "$package" root; done

# Links in the packages that are absolute would point out of the tree.
find root -type l -lname '/*' -printf '%p %l\n' | while read -r link target; do
  ln -sfn --relative "root$target" "$link"
done
touch root/complete
rm -rf "$root"
mkdir -p "$(dirname "$root")"
mv root "$root"
