# A node of kind, as kind's own images/base/Dockerfile makes it, of Debian's programs and those built here.
# The context: files/ (kind's images/base/files), programs/, pods.tar, pods.conflist, load-pods.service.
ARG BASE
FROM ${BASE}
COPY files/ /
COPY programs/ /usr/bin/
COPY pods.tar /kind/pods.tar
COPY pods.conflist /etc/cni/net.d/10-pods.conflist
COPY load-pods.service /etc/systemd/system/load-pods.service
ARG VERSION
# Of systemd only what a container needs.
RUN rm -f /lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service \
      /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
      /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/basic.target.wants/* \
      /lib/systemd/system/sockets.target.wants/*udev* /lib/systemd/system/sockets.target.wants/*initctl* \
 && echo ReadKMsg=no >> /etc/systemd/journald.conf \
 && ln -sf /usr/lib/systemd/systemd /sbin/init \
 && systemctl enable containerd kubelet load-pods undo-mount-hacks \
 && systemctl mask systemd-binfmt
RUN mkdir -p /etc/kubernetes/manifests /opt/cni \
 && ln -s /usr/lib/cni /opt/cni/bin \
 && ln -s /usr/bin/containerd /usr/local/bin/containerd \
 && ctr oci spec \
    | jq '.hooks.createContainer = [{path: "/kind/bin/mount-product-files.sh"}] | del(.process.rlimits)' \
    > /etc/containerd/cri-base.json \
 # The root of some machines cannot have a score below its parent's.
 && sed -i 's/restrict_oom_score_adj = false/restrict_oom_score_adj = true/' /etc/containerd/config.toml \
 && echo "${VERSION}" > /kind/version
ENV container=docker
STOPSIGNAL SIGRTMIN+3
ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]
