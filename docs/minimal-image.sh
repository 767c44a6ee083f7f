#!/bin/sh
# Makes an image for agents and the gate from packages of Debian or Ubuntu: without an image registry, and
# without root if podman runs as you.
#
#   sh minimal-image.sh IMAGE [PACKAGE ...]
#   sh minimal-image.sh localhost/agent python3-pytest
#   CLAUDE=$(command -v claude) sh minimal-image.sh localhost/agent make golang-go
#
# The image has git, a shell, the usual small programs, certificates, and the packages that are named, with
# all that they depend on. If CLAUDE is the path of the claude program, the image has it, too.
# Scripts of packages do not run, so what a package only makes at its installation is missing.
# Needs apt-get with its lists of packages (apt-get update), dpkg-deb, tar and podman.
set -eu

image=${1:?name the image: sh minimal-image.sh IMAGE [PACKAGE ...]}
shift
always="base-files bash ca-certificates coreutils dash diffutils findutils git grep mawk sed tar util-linux"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
chmod 755 "$place"
root=$place/root packages=$place/packages
mkdir -p "$packages"

# What apt would install on a machine that has nothing.
: >"$place/nothing"
apt-get -qq -s --no-install-recommends -o Dir::State::status="$place/nothing" install $always "$@" |
  sed -n 's/^Inst \([^ ]*\).*/\1/p' >"$place/names"
test -s "$place/names"
echo "downloading $(wc -l <"$place/names") packages ..."
(cd "$packages" && xargs apt-get -qq -o Dir::State::status="$place/nothing" -o APT::Sandbox::User=root download <"$place/names")

# Packages of older releases still carry files for /bin as well as for /usr/bin.
mkdir -p "$root/usr/bin" "$root/usr/sbin" "$root/usr/lib" "$root/usr/lib64" "$root/etc/ssl/certs"
mkdir -p "$root/proc" "$root/dev" "$root/sys" "$root/run" "$root/root"
mkdir -p -m 1777 "$root/tmp" "$root/var/tmp"
for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
echo "unpacking them ..."
for package in "$packages"/*.deb; do
  dpkg-deb --fsys-tarfile "$package" | tar -C "$root" -x --no-same-owner --keep-directory-symlink \
    --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*'
done

# What scripts of packages would have made.
ln -sf dash "$root/usr/bin/sh"
for link in awk:mawk cc:gcc c++:g++ c89:c89-gcc c99:c99-gcc; do
  name=$root/usr/bin/${link%:*}
  [ -e "$name" ] || [ ! -e "$root/usr/bin/${link#*:}" ] || ln -s "${link#*:}" "$name"
done
cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'nobody:x:65534:65534:nobody:/nonexistent:/bin/false' >>"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
printf 'hosts: files dns\npasswd: files\ngroup: files\n' >"$root/etc/nsswitch.conf"
if [ -n "${CLAUDE:-}" ]; then
  mkdir -p "$root/usr/local/bin"
  cp -L "$CLAUDE" "$root/usr/local/bin/claude"
  chmod 755 "$root/usr/local/bin/claude"
fi

echo "importing them into podman ..."
tar -C "$root" --owner=0 --group=0 -cf "$place/root.tar" .
podman import --quiet "$place/root.tar" "$image"
echo "$image: $(wc -l <"$place/names") packages"
