# The KRM function and command line as an image: one static binary and what it needs to run as anyone.
#
#   docker build --build-arg VERSION="$(git describe --tags --always)" -t eso-tenant .
ARG GO_VERSION=1.26.8

# The compiler runs on the builder's own platform and cross-compiles: no emulation.
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION} AS build
WORKDIR /src

# Modules first: they change seldom, and the layer is kept while they do not.
COPY go.mod go.sum ./
RUN go mod download

COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=${VERSION}" -o /out/eso-tenant ./cmd/eso-tenant

# kustomize runs functions as user nobody, by name: without these files the container does not start.
RUN printf 'nobody:x:65534:65534:nobody:/:/sbin/nologin\n' > /out/passwd \
 && printf 'nobody:x:65534:\n' > /out/group

FROM scratch
# push talks TLS to registries.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/passwd /out/group /etc/
COPY --from=build /out/eso-tenant /usr/local/bin/eso-tenant
# By number, so that Kubernetes can tell that it is not root (runAsNonRoot).
USER 65534:65534
ENTRYPOINT ["/usr/local/bin/eso-tenant"]
