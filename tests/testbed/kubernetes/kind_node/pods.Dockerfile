# What runs in the pods of a control plane: one image by all the names that kubeadm asks for, since a pod
# says which program it wants; CoreDNS's does not. And the image that holds a pod's namespaces.
# The context: programs/.
ARG BASE
FROM ${BASE} AS base
# kube-proxy writes its rules with iptables, of which this is all.
RUN mkdir /out \
 && cp --archive --parents /usr/sbin/ip*tables* /usr/sbin/xtables-*multi /etc/alternatives/ip*tables* \
      /usr/lib/*/xtables /out \
 && cp --dereference --parents $(ldd /usr/sbin/xtables-nft-multi | grep --only-matching '/[^ ]*') /out

FROM scratch AS pause
COPY --from=base /bin/busybox /busybox
ENTRYPOINT ["/busybox", "sleep", "2147483647"]

FROM scratch AS pods
COPY --from=base /out /
COPY programs/ /usr/local/bin/
ENV PATH=/usr/local/bin:/usr/sbin
ENTRYPOINT ["coredns"]
