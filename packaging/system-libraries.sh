#!/bin/sh
# Installs the system libraries that Qt needs, where this is root on Debian or Ubuntu; otherwise prints the exact command.
# Nothing is done, nor asked for, where they are all there.
set -eu

offscreen="libgl1 libegl1 libglib2.0-0 libfontconfig1 libfreetype6 libx11-6 libxkbcommon0 libdbus-1-3 zlib1g libzstd1 fonts-dejavu-core"
xcb="libx11-xcb1 libxkbcommon-x11-0 libxcb1 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0
libxcb-render0 libxcb-render-util0 libxcb-shape0 libxcb-shm0 libxcb-sync1 libxcb-util1 libxcb-xfixes0 libxcb-xkb1"

command -v dpkg-query >/dev/null 2>&1 || exit 0 # not Debian: desktop systems have them

missing=""
for package in $offscreen $xcb; do
    # "t64" is the spelling of newer releases
    dpkg-query -W -f='${Status}\n' "$package" "${package}t64" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    echo "installing the system libraries that Qt needs:$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    # shellcheck disable=SC2086 # a list of names
    apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "The window needs system libraries that are not installed. As root, run:" >&2
    echo "    apt-get install --no-install-recommends$missing" >&2
fi
