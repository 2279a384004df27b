#!/bin/sh
# What `make run` does: upscales the sample photograph with the shipped network and with bicubic.
set -eu
bin=${BIN:-.venv/bin}
"$bin/srviewer" upscale resources/samples/chelsea.png -m safmn_x4 -m bicubic_x4 -o out --overwrite
