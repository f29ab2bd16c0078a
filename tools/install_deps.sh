#!/usr/bin/env bash
# Installs with apt-get whatever is missing of what the build needs (Debian 12).
#   install_deps.sh [--tests | --fetch]
# --tests adds what only the test suite needs; --fetch installs just what downloads use.
set -euo pipefail

fetch=(python3 python3-pip)
build=(g++ cmake ninja-build ccache pkg-config libcli11-dev libfmt-dev libspdlog-dev nlohmann-json3-dev
  libpcre2-dev libssl-dev libtomlplusplus-dev libgtest-dev "${fetch[@]}")
tests=(g++-aarch64-linux-gnu qemu-user unzip snakemake "${build[@]}")
case ${1:-} in
  "") wanted=("${build[@]}") ;;
  --tests) wanted=("${tests[@]}") ;;
  --fetch) wanted=("${fetch[@]}") ;;
  *) echo "usage: install_deps.sh [--tests | --fetch]" >&2; exit 2 ;;
esac

missing=()
for package in "${wanted[@]}"; do
  # "hold ok installed" and the like count too; "deinstall ok config-files" does not.
  [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == *" installed" ]] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing ${missing[*]}" >&2
"${as_root[@]}" apt-get -qq update >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get -qq -y --no-install-recommends install "${missing[@]}" >&2
