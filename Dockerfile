# The image is the KRM function: one static binary, and the names without which a container cannot run as nobody.
# `make image` compiles the binary and lays all of it out in bin/image, the folder that this is built from. Nothing runs
# in the build, so that any machine can build it for any architecture.
FROM scratch

ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="eso-tenant" \
      org.opencontainers.image.description="Expands one small specification per tenant into manifests that fence External Secrets Operator" \
      org.opencontainers.image.source="https://github.com/eso-tenant/eso-tenant" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

# kustomize runs functions as user nobody, by name.
COPY passwd group /etc/

ARG TARGETARCH
COPY ${TARGETARCH}/eso-tenant /usr/local/bin/eso-tenant

# By number, so that Kubernetes can tell that it is not root (runAsNonRoot).
USER 65534:65534
ENTRYPOINT ["/usr/local/bin/eso-tenant"]
