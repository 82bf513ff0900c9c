# The image of `cargo xtask image`, for those who have Docker:
#   docker build --tag fleetmesh:0.1.0 .
#   docker build --tag fleetmesh-proxy:0.1.0 --build-arg IMAGE=--proxy .
# `cargo xtask image --files` writes the files of both images, so that they cannot differ.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends musl-tools && rm -rf /var/lib/apt/lists/*
RUN rustup target add x86_64-unknown-linux-musl
WORKDIR /source
COPY . .
ARG IMAGE=
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo xtask image ${IMAGE} --files /image

FROM scratch
COPY --from=build /image /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/fleetmesh"]
