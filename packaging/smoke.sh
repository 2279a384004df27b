#!/bin/sh
# Tries the bundle as a user would meet it: from another folder, with an empty home, without a display, and without
# the environment that it was built in. Usage: packaging/smoke.sh [dist/srviewer/srviewer]
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
program=${1:-$here/dist/srviewer/srviewer}
folder=$(cd "$(dirname "$program")" && pwd)
program=$folder/$(basename "$program")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
mkdir "$work/home" "$work/elsewhere"
cd "$work/elsewhere"
# copies, so that nothing is found beside the original
cp "$here/resources/samples/chelsea.png" "$here/resources/samples/rocket.jpg" .

fail() {
    echo "smoke: $*" >&2
    exit 1
}

# srviewer ARGUMENT...: the bundle's program with nothing of this environment but the system's paths
srviewer() {
    env -i HOME="$work/home" PATH=/usr/bin:/bin LANG=C.UTF-8 QT_QPA_PLATFORM=offscreen "$program" "$@"
}

# step NAME ARGUMENT...: run it, with its output in NAME.txt and NAME.log
step() {
    name=$1
    shift
    srviewer "$@" >"$name.txt" 2>"$name.log" || {
        status=$?
        cat "$name.txt" "$name.log" >&2
        fail "\`srviewer $*\` ended with status $status"
    }
    ! grep -qE 'Traceback|internal error|Something unexpected' "$name.txt" "$name.log" || {
        cat "$name.log" >&2
        fail "\`srviewer $*\` reported a fault"
    }
    echo "ok: srviewer $*"
}

# has FILE MAGIC: the file exists and begins with these bytes, in hexadecimal
has() {
    [ -s "$1" ] || fail "$1 is missing or empty"
    found=$(od -An -tx1 -N"$((${#2} / 2))" "$1" | tr -d ' \n')
    [ "$found" = "$2" ] || fail "$1 begins with $found instead of $2"
}

# png_is FILE WIDTH HEIGHT
png_is() {
    has "$1" 89504e470d0a1a0a
    found=$(od -An -tx1 -j16 -N8 "$1" | tr -d ' \n')
    [ "$found" = "$(printf '%08x%08x' "$2" "$3")" ] || fail "$1 is not $2 x $3"
}

step version --version
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$here/srviewer/__init__.py")
[ "$(cat version.txt)" = "srviewer $version" ] || fail "the version is not $version: $(cat version.txt)"

step models models
grep -q safmn_x4 models.txt || fail "safmn_x4 is not listed"

step weights weights verify

step doctor doctor --json
grep -q '"faults": *\[\]' doctor.txt || fail "doctor found faults: $(cat doctor.txt)"
grep -q '"qt_platform": *"offscreen"' doctor.txt || fail "doctor did not reach Qt: $(cat doctor.txt)"
! grep -q "$here" doctor.txt || [ "${folder#"$here"}" != "$folder" ] || fail "doctor looked into the checkout"

step upscale upscale chelsea.png -m safmn_x4 -o upscaled.png
png_is upscaled.png 1804 1200

# the predictor of our TIFF files needs imagecodecs, whose codecs are imported by name
step tiff upscale rocket.jpg -m bicubic_x2 -o written.tif
has written.tif 49492a00
step again upscale written.tif -m bicubic_x2 -o again.webp
has again.webp 52494646

step metrics metrics upscaled.png upscaled.png --scale 4
for form in png pdf svg; do
    step "figure-$form" figure chelsea.png --evaluate -m bicubic_x4 -m safmn_x4 --crop 130,70,80,60 -o "figure.$form"
done
has figure.png 89504e47
has figure.pdf 25504446
has figure.svg 3c3f786d

step gui gui chelsea.png -m safmn_x4 -m bicubic_x4 --size 1280x800 --screenshot shot.png
png_is shot.png 1280 800

# a job that fails is told and shown by the status
if srviewer gui chelsea.png -m no_such_x4 --screenshot none.png >none.txt 2>none.log; then
    fail "an unknown network ended with status 0"
fi
grep -q no_such_x4 none.log || fail "an unknown network was not named: $(cat none.log)"

# what the bundle left out must not be asked for by what it kept
if command -v ldd >/dev/null; then
    find "$folder" -type f -name '*.so*' -exec env LD_LIBRARY_PATH="$folder/_internal" ldd {} + 2>/dev/null |
        grep 'not found' | sort -u >missing.txt || true
    [ ! -s missing.txt ] || echo "libraries that this system lacks (Qt's plug-ins for other desktops may want them):"
    cat missing.txt
fi

echo "the bundle works: $(du -sh "$folder" | cut -f1) in $folder"
