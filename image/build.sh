#!/bin/sh
# Builds the operator for the image. The Dockerfile runs it, and so does CI, which cannot build an image.
#
#     image/build.sh OUTPUT-FILE
set -eu
cd "$(dirname "$0")/.."
cargo build --release --locked --package beyond-identity-operator --bin beyond-identity-operator
cp "${CARGO_TARGET_DIR:-target}/release/beyond-identity-operator" "$1"

# The base image has these libraries, and no others.
if ldd "$1" | grep -vE '^\s*(linux-vdso|libgcc_s|libm|libc|/lib.*/ld-linux-)[^ ]*\.so'; then
    echo "error: $1 links to a library that is not in the image" >&2
    exit 1
fi
