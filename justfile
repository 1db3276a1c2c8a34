# Everyday commands. Each one is a single call of Cargo or of a script, so `just` is optional.

# List the commands.
default:
    @just --list

# Run the operator on a real API server and a simulator of the Beyond Identity API.
demo *arguments:
    cargo demo {{arguments}}

# Run all tests.
test:
    cargo test

# Run the unit tests.
unit:
    cargo test --lib

# Run the tests of the operator on a real API server.
cluster *filter:
    cargo test --test cluster {{filter}}

# Run the tests of the Helm chart.
chart *filter:
    cargo test --test chart {{filter}}

# Run this many seeds of the simulation.
seeds count="2000":
    SEEDS={{count}} cargo test --test simulation the_promise

# Replay one seed of the simulation.
seed number:
    SEED={{number}} cargo test --test simulation the_promise -- --nocapture

# Write every generated file.
gen:
    cargo gen

# Format the code.
format:
    cargo fmt

# Run the lints as CI does.
lint:
    cargo clippy --all-targets -- -D warnings

# Measure the cost of this many enrolments.
load requests="1000":
    cargo load --requests {{requests}}

# Run what CI runs.
ci:
    .ci/run
