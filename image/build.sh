#!/bin/sh
# Builds the operator for the image. The Dockerfile runs it, and so does CI, which cannot build an image.
#
#     image/build.sh OUTPUT-FILE
set -eu
cd "$(dirname "$0")/.."

# cargo-auditable puts the list of dependencies into the program, where scanners of images find it.
AUDITABLE=0.7.7
tools=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/beyond-identity-operator/tools
PATH=$tools/bin:$PATH
cargo auditable --version >/dev/null 2>&1 || cargo install --quiet --locked --root "$tools" "cargo-auditable@$AUDITABLE"

# No path of the machine that builds is in the program.
export RUSTFLAGS="--remap-path-prefix=$PWD=/operator --remap-path-prefix=${CARGO_HOME:-${HOME:-/root}/.cargo}=/cargo"
cargo auditable build --release --locked --package beyond-identity-operator --bin beyond-identity-operator
cp "${CARGO_TARGET_DIR:-target}/release/beyond-identity-operator" "$1"
if grep -aqF "$PWD/" "$1"; then
    echo "error: $1 contains a path of this machine" >&2
    exit 1
fi

# The base image has these libraries, and no others.
if ldd "$1" | grep -vE '^\s*(linux-vdso|libgcc_s|libm|libc|/lib.*/ld-linux-)[^ ]*\.so'; then
    echo "error: $1 links to a library that is not in the image" >&2
    exit 1
fi
