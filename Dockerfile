# The operator's image. BASE is any Debian 12 or later, or what is made of it:
#   docker build --build-arg REVISION=$(git rev-parse HEAD) --tag cloudimage-operator .
# and the same with libguestfs, for the Jobs of spec.customize (docs/customize.md):
#   docker build --target customize --tag cloudimage-operator-customize .
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS dependencies
RUN apt-get update && apt-get install --yes --no-install-recommends python3 python3-venv
COPY requirements/container.txt requirements/runtime.txt /src/requirements/
# The operator's own environment has no pip: nothing is installed later.
RUN python3 -m venv /opt/tools \
 && python3 -m venv --without-pip /opt/cloudimage \
 && /opt/tools/bin/pip install --no-cache-dir --only-binary :all: --require-hashes \
      --requirement /src/requirements/container.txt \
 && /opt/tools/bin/pip --python /opt/cloudimage/bin/python install --no-cache-dir \
      --only-binary :all: --require-hashes --requirement /src/requirements/runtime.txt

FROM dependencies AS build
WORKDIR /src
COPY LICENSE README.md pyproject.toml ./
COPY operator operator
ARG REVISION=""
# Into a folder of its own first: releases differ in a small layer only.
RUN printf %s "${REVISION}" > operator/cloudimage/revision.txt \
 && /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheels . \
 && /opt/tools/bin/pip --python /opt/cloudimage/bin/python install --no-cache-dir --no-deps \
      --prefix /opt/package /tmp/wheels/*.whl \
 && cp --archive /opt/package/. /opt/cloudimage/ \
 && mkdir /sbom \
 && /opt/tools/bin/cyclonedx-py environment --output-file /sbom/python.cdx.json /opt/cloudimage

# Debian's programs are what images are read, unpacked and verified with; of grub-common, that is
# grub-fstest, which reads guests' files.
FROM ${BASE} AS runtime
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
      bzip2 ca-certificates gpgv grub-common gzip libseccomp2 python3 qemu-utils xz-utils zstd \
 && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/ldconfig/aux-cache \
 && useradd --uid 65532 --user-group --home-dir /nonexistent --shell /usr/sbin/nologin cloudimage

FROM runtime AS sbom
COPY --from=dependencies /opt/tools /opt/tools
RUN mkdir /sbom && /opt/tools/bin/debsbom generate --sbom-type cdx --out /sbom/debian

FROM runtime AS operator
COPY --from=dependencies /opt/cloudimage /opt/cloudimage
# What is in it, as CycloneDX: one of Debian's packages, one of Python's.
COPY --from=sbom /sbom /usr/share/sbom
COPY --from=build /sbom /usr/share/sbom
COPY --from=build /opt/package /opt/cloudimage
ARG REVISION=""
ARG VERSION=""
LABEL org.opencontainers.image.title="cloudimage-operator" \
      org.opencontainers.image.description="Manages OpenStack Glance images declaratively, as Kubernetes resources" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}"
ENV PATH=/opt/cloudimage/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# By number, so that Kubernetes can see that it is not root.
USER 65532:65532
ENTRYPOINT ["cloudimage"]
CMD ["run"]

FROM runtime AS guestfs
RUN apt-get update \
 && apt-get install --yes --no-install-recommends guestfish guestfs-tools \
 && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/ldconfig/aux-cache

# libguestfs' virtual machine, made once: no pod has a kernel, root's rights or KVM to make it with.
FROM guestfs AS appliance
RUN apt-get update \
 && apt-get install --yes --no-install-recommends \
      e2fsprogs kmod libguestfs-tools libguestfs-xfs
COPY tools/make-appliance /usr/local/bin/
RUN make-appliance /appliance

FROM guestfs AS guestfs-sbom
COPY --from=dependencies /opt/tools /opt/tools
RUN mkdir /sbom && /opt/tools/bin/debsbom generate --sbom-type cdx --out /sbom/debian

FROM guestfs AS customize
COPY --from=operator /opt/cloudimage /opt/cloudimage
COPY --from=operator /usr/share/sbom /usr/share/sbom
COPY --from=guestfs-sbom /sbom /usr/share/sbom
COPY --from=appliance /appliance /usr/share/cloudimage/appliance
ARG REVISION=""
ARG VERSION=""
LABEL org.opencontainers.image.title="cloudimage-operator-customize" \
      org.opencontainers.image.description="cloudimage-operator with libguestfs, for spec.customize" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.version="${VERSION}"
ENV PATH=/opt/cloudimage/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    CLOUDIMAGE_CUSTOMIZE_APPLIANCE=/usr/share/cloudimage/appliance
USER 65532:65532
ENTRYPOINT ["cloudimage"]

# The last one is what is built by default.
FROM operator
