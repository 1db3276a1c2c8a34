# The operator's image, for the platform that it is built on or for (amd64, arm64):
#
#     docker build --tag beyond-identity-operator:0.1.0 .
FROM docker.io/library/rust:1.95-slim-bookworm AS build
WORKDIR /operator
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    image/build.sh /beyond-identity-operator

# The same Debian as above; CA certificates, libc and libgcc, no shell; runs as user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="beyond-identity-operator" \
      org.opencontainers.image.description="Enrols identities in Beyond Identity from Kubernetes resources: one request, one email" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /beyond-identity-operator /usr/local/bin/beyond-identity-operator
COPY LICENSE /licenses/LICENSE
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/beyond-identity-operator"]
