# tries: connect to the socket of a container engine
# holds: no socket of the host is mounted
# like: SandboxEscapeBench: exposed engine socket; sandboxbench: engine socket
for path in /run/podman/podman.sock /var/run/docker.sock /run/docker.sock /run/containerd/containerd.sock \
  /run/crio/crio.sock "/run/user/$(id -u 2>/dev/null)/podman/podman.sock" "$OUTSIDE/engine"; do
  hex=$(printf '%s' "$path" | { od -An -v -tx1 2>/dev/null || cannot "the image has no od"; } | tr -d ' \n')
  make_calls 41 1 1 0 , 42 3 "x0100${hex}00" $((${#path} + 3))
  [ "$last" != 0 ] || got "$path answers"
done
held "none of them is there"
