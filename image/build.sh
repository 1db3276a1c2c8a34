#!/bin/sh
# Builds the operator as it goes into the image. The Dockerfile runs it, and so does CI, where no image can be built.
#
#     image/build.sh OUTPUT-FILE
set -eu
cd "$(dirname "$0")/.."
cargo build --release --locked --package beyond-identity-operator --bin beyond-identity-operator
cp "${CARGO_TARGET_DIR:-target}/release/beyond-identity-operator" "$1"

# What the image's base has to have: these libraries, and no other.
if ldd "$1" | grep -vE '^\s*(linux-vdso|libgcc_s|libm|libc|/lib.*/ld-linux-)[^ ]*\.so'; then
    echo "error: $1 links to a library that the image does not have" >&2
    exit 1
fi
