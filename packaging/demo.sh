#!/bin/sh
# What `make run` does: opens the window; without a reachable display it runs the demo headless into out/.
set -eu
bin=${BIN:-.venv/bin}
sample=resources/samples/chelsea.png

if "$bin/python" -c 'import sys; from srviewer.cli.gui import window_can_open; sys.exit(not window_can_open())'; then
    exec "$bin/srviewer" gui
fi

echo "No display can be reached, so the demo runs without a window."
mkdir -p out
"$bin/srviewer" upscale "$sample" -m safmn_x4 -m bicubic_x4 -o out --overwrite
"$bin/srviewer" figure "$sample" --evaluate -m bicubic_x4 -m safmn_x4 --crop 130,70,80,60 -o out/comparison.png --overwrite
QT_QPA_PLATFORM=offscreen "$bin/srviewer" gui "$sample" --evaluate -m bicubic_x4 -m safmn_x4 --screenshot out/screenshot.png
echo "Look into out/: the upscaled photograph (chelsea_safmn_x4.png, and chelsea_bicubic_x4.png to compare it with),"
echo "the figure of a crop (comparison.png) and the window as it would have looked (screenshot.png)."
