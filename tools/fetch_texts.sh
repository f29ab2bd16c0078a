#!/usr/bin/env bash
# Brings long texts for contexts of 32K tokens and more: the six novels of Jane Austen (public
# domain) from Debian's r-cran-janeaustenr, one .txt file each. Prints the directory.
#   fetch_texts.sh [DIR]      default: the quant directory of the user's cache
set -euo pipefail
tools=$(cd "$(dirname "$0")" && pwd)
texts=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/quant/texts}
mkdir -p "$texts"
texts=$(cd "$texts" && pwd)

if [ ! -e "$texts/prideprejudice.txt" ]; then
  command -v python3 >/dev/null || "$tools/install_deps.sh" --fetch
  work=$(mktemp -d "$texts/fetch-XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cd "$work"
  if ! apt-get -qq -o APT::Sandbox::User=root download r-cran-janeaustenr >&2; then
    echo "cannot download r-cran-janeaustenr: run 'apt-get update' and try again" >&2
    exit 1
  fi
  dpkg-deb -x r-cran-janeaustenr_*.deb package
  mkdir novels
  python3 "$tools/extract_rdb.py" package/usr/lib/R/site-library/janeaustenr/data/Rdata novels
  mv novels/*.txt "$texts/"
fi
echo "$texts"
